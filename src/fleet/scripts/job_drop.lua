-- Forgets a job, whatever its state. Argument: id. 0 there is none, 1 done.
local id = Arg(1)
local job = ReadJob(id)
if not job then return Answer(0) end
local finished = tonumber(redis.call('HGET', JobKey(id), 'finished') or 0)
if job.state == ENDED or job.state == BURIED then
  ForgetFinished(id, job)
  local keep = job.state == ENDED and KEEP_DONE or KEEP_DEAD
  return Answer(finished + keep <= NOW and 0 or 1)
end
Out('leases', id)
Out('paused', id)
Out('again_' .. job.lane, id)
Dequeue(id, job)
RemoveContent(id, job.place)
redis.call('UNLINK', CallbacksKey(id), JobKey(id))
return Answer(1)
