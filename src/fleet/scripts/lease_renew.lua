-- Prolongs a lease, also one that was lost with the memory of a Redis that was restarted.
-- KEYS: the lease. ARGV: token, lease in ms. Returns 0 when it is another's by now.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
