-- The next message that is due, for one taker. Argument: lease in ms.
-- 0 there is none; 1 with number, content's id, callback, verdict, message id, attempts.
local lease = tonumber(Arg(1))
for _ = 1, 100 do
  local seq = redis.call('ZRANGEBYSCORE', OUTBOX, '-inf', Text(NOW), 'LIMIT', 0, 1)[1]
  if not seq then return Answer(0) end
  local f = redis.call('HMGET', PREFIX .. 'message:' .. seq, 'id', 'callback', 'verdict', 'message', 'attempts')
  Out('outbox', seq)
  if f[1] then
    Put('outbox', NOW + lease, seq)
    return Answer(1, {seq, f[1], f[2], f[3], f[4], f[5]})
  end
end
return Answer(0)
