-- A node ends in good order. KEYS: as node_beat.lua. ARGV: node id.
redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('HDEL', KEYS[2], ARGV[1]) == 1 then redis.call('DEL', KEYS[3]) end
return 1
