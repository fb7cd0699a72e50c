-- Ends an override. KEYS: as override_put.lua. ARGV: content, what makes the version unique.
-- Returns 1, or 0 when there was none, also when it was over already.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call('ZSCORE', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('SET', KEYS[2], time[1] .. '.' .. time[2] .. '.' .. ARGV[2])
if ends and tonumber(ends) <= now then return 0 end
return 1
