-- Behind job_lease.lua: ends the job. Further arguments: state at the end, verdict, reason.
-- 0 the lease has been lost, 1 done.
local state, verdict, reason = tonumber(Arg(4)), Arg(5), Arg(6)
local callbacks = redis.call('SMEMBERS', CallbacksKey(id))
redis.call('ZREM', LEASES, id)
changed = true
Disown(job)
redis.call('ZREM', JOBS, id)
redis.call('UNLINK', CallbacksKey(id))
stat.bytes = stat.bytes - job.size
local seq = NextSeq()
redis.call('HSET', JobKey(id), 'state', state, 'token', '', 'op', op, 'finished', NOW, 'verdict', verdict)
if state == ENDED then
  RemoveContent(id, job.place)
  redis.call('HSET', JobKey(id), 'place', '')
  redis.call('ZADD', DONE, NOW, id)
else
  redis.call('HSET', JobKey(id), 'attempts', job.attempts + 1, 'dead', Text(seq))
  redis.call('XADD', DEAD, Entry(seq), 'id', id, 'at', NOW, 'reason', reason)
  if job.place ~= '' then stat.dead_bytes = stat.dead_bytes + job.size end
  TrimDead()
end
redis.call('XADD', FINISHED, 'MAXLEN', '~', 10000, Entry(seq), 'id', id)
for i, callback in ipairs(callbacks) do
  Post(id, callback, verdict, string.sub(redis.sha1hex(op .. id .. i), 1, 32), '')
end
Expire(5)
return Answer(1)
