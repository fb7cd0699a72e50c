-- Makes a message due for which there was no job. Arguments: id, callback, verdict, message id, most messages.
-- 1 done, or the same waits already; 8 too many messages.
local id, callback, verdict, message, max_messages = Arg(1), Arg(2), Arg(3), Arg(4), tonumber(Arg(5))
local told = redis.sha1hex(id .. callback .. verdict)
if redis.call('SISMEMBER', TOLD, told) == 1 then
  Confirm()
  return Answer(1)
end
if stat.outbox >= max_messages then return Answer(8) end
Admit()
redis.call('SADD', TOLD, told)
Post(id, callback, verdict, message, told)
return Answer(1)
