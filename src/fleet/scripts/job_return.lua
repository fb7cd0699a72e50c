-- Behind job_lease.lua: lets the job begin again. Further arguments: "1" when the attempt counts, pause in ms, note.
-- 0 the lease has been lost, 1 done.
local counts, pause, note = Arg(4) == '1', tonumber(Arg(5)), Arg(6)
Out('leases', id)
redis.call('HSET', JobKey(id), 'state', QUEUED, 'token', '', 'op', op)
if counts then redis.call('HSET', JobKey(id), 'attempts', job.attempts + 1, 'note', note) end
if pause > 0 then
  Put('paused', NOW + pause, id)
else
  Put('again_' .. job.lane, job.seq, id)
end
Wake(job.lane)
return Answer(1)
