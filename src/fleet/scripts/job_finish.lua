-- Behind job_lease.lua: ends the job. Further arguments: state at the end, verdict, reason.
-- 0 the lease has been lost, 1 done.
local state, verdict, reason = tonumber(Arg(4)), Arg(5), Arg(6)
local callbacks = redis.call('SMEMBERS', CallbacksKey(id))
Out('leases', id)
Dequeue(id, job)
if #callbacks > 0 then redis.call('UNLINK', CallbacksKey(id)) end
local seq = NextSeq()
redis.call('HSET', JobKey(id), 'state', state, 'token', '', 'op', op, 'finished', NOW, 'verdict', verdict, 'place',
           state == ENDED and '' or job.place)
if state == ENDED then
  RemoveContent(id, job.place)
  Put('done', NOW, id)
else
  redis.call('HSET', JobKey(id), 'attempts', job.attempts + 1, 'dead', Text(seq))
  redis.call('XADD', DEAD, Entry(seq), 'id', id, 'at', NOW, 'reason', reason)
  stat.dead = stat.dead + 1
  if job.place ~= '' then stat.dead_bytes = stat.dead_bytes + job.size end
  TrimDead()
end
redis.call('XADD', FINISHED, 'MAXLEN', '~', 10000, Entry(seq), 'id', id)
for i, callback in ipairs(callbacks) do
  Post(id, callback, verdict, string.sub(redis.sha1hex(op .. id .. i), 1, 32), '')
end
local expiry = NOW + (state == ENDED and KEEP_DONE or KEEP_DEAD)
if stat.expiry == 0 or expiry < stat.expiry then stat.expiry = expiry end
ExpireDue(5)
return Answer(1)
