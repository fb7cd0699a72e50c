-- A node says that it is alive, and hears who else is.
-- KEYS: seen (sorted set: node ids by the time of their last beat), records (hash by node id), version of the records.
-- ARGV: node id, its record, ms after which a node is gone, the version that the asker has.
-- Returns now, version, {id, time, ...}, and {id, record, ...} unless the asker has those; times in ms, as text.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed = redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2]
if changed then redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])

local function forget(from, to)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], from, to)) do
    redis.call('ZREM', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    changed = true
  end
end
forget('-inf', string.format('(%.0f', now - ARGV[3]))
-- After a failover to a server whose clock is behind: those that live say so again.
forget(string.format('(%.0f', now + ARGV[3]), '+inf')

local version = redis.call('GET', KEYS[3])
if changed or not version then
  version = time[1] .. '.' .. time[2] .. '.' .. ARGV[1]
  redis.call('SET', KEYS[3], version)
end
-- What nobody beats for is not kept for ever.
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], 100 * ARGV[3]) end
local records = false
if version ~= ARGV[4] then records = redis.call('HGETALL', KEYS[2]) end
return { string.format('%.0f', now), version, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'), records }
