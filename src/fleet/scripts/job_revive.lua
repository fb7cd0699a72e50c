-- Lets a dead letter begin again. Arguments: id, most jobs and bytes of this shard.
-- 0 there is no such job, 1 done, 2 it is no dead letter, 3 its content is gone, 4 too many jobs, 5 too many bytes.
local id, max_jobs, max_bytes = Arg(1), tonumber(Arg(2)), tonumber(Arg(3))
local job = ReadJob(id)
local finished = job and tonumber(redis.call('HGET', JobKey(id), 'finished') or 0)
if not job then return Answer(0) end
if job.state == ENDED and finished + KEEP_DONE <= NOW then return Answer(0) end
if job.state == BURIED and finished + KEEP_DEAD <= NOW then return Answer(0) end
if job.state ~= BURIED then return Answer(2, {job.state}) end
if job.place == '' then return Answer(3) end
if stat.jobs >= max_jobs then return Answer(4) end
if stat.bytes + job.size > max_bytes then return Answer(5) end
Admit()
RemoveDead(Entry(job.dead))
stat.dead_bytes = stat.dead_bytes - job.size
-- Whoever waited for it waits no more.
local lane = string.gsub(job.lane, '^urgent_', '')
local seq = Enqueue(id, lane)
redis.call('HSET', JobKey(id), 'lane', lane, 'state', QUEUED, 'at', NOW, 'seq', Text(seq), 'attempts', 0, 'lost', 0, 'note', '')
redis.call('HDEL', JobKey(id), 'verdict', 'finished', 'dead', 'op')
stat.bytes = stat.bytes + job.size
return Answer(1)
