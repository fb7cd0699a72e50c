-- Adds an override, or replaces that of the same content. Idempotent.
-- KEYS: entries (hash by content), their version, ends (sorted set: contents by ms).
-- ARGV: content, entry, when it ends in ms ("" never does), how many there may be, what makes the version unique.
-- Returns 1, or 0 when there are as many already.
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)) do
  redis.call('ZREM', KEYS[3], id)
  redis.call('HDEL', KEYS[1], id)
end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] ~= '' then
  redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
end
redis.call('SET', KEYS[2], time[1] .. '.' .. time[2] .. '.' .. ARGV[5])
return 1
