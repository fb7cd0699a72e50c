-- What became of a message. Arguments: its number, the number of this call, "close", "postpone" or "return", pause in
-- ms. 0 there is no such message, 1 done.
local seq, op, what, pause = Arg(1), Arg(2), Arg(3), tonumber(Arg(4))
local key = PREFIX .. 'message:' .. seq
local f = redis.call('HMGET', key, 'attempts', 'op', 'told')
if not f[1] then return Answer(0) end
if f[2] == op then return Answer(1) end
Out('outbox', seq)
if what == 'close' then
  if f[3] ~= '' then redis.call('SREM', TOLD, f[3]) end
  redis.call('UNLINK', key)
  return Answer(1)
end
Put('outbox', NOW + pause, seq)
redis.call('HSET', key, 'op', op)
if what == 'postpone' then redis.call('HSET', key, 'attempts', f[1] + 1) end
redis.call('XADD', MAIL, 'MAXLEN', '~', 100, Entry(NextSeq()), 'message', seq)
return Answer(1)
