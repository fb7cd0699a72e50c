-- Takes the turn for who asks, if nobody has it. Idempotent.
-- KEYS: the turn. ARGV: token, lease in ms. Returns the token of who has it now.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return ARGV[1] end
local owner = redis.call('GET', KEYS[1])
-- The answer to an earlier call was lost: the lease begins now.
if owner == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return owner
