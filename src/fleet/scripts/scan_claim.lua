-- Claims the scan of a content for who asks, if nobody else has. Idempotent.
-- KEYS: the verdict, the claim. ARGV: token, lease in ms. Returns whether the claim is the asker's, and the verdict.
local is_mine = redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
    or redis.call('GET', KEYS[2]) == ARGV[1]
return { is_mine and 1 or 0, redis.call('GET', KEYS[1]) }
