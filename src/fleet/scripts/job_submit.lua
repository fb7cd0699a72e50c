-- Takes a job in. Arguments: id, size, lane, place of the content ("" to learn whether it is needed), content when it is
-- inline, callback or "", most callbacks of a job, most messages, most jobs and bytes of this shard, "1" when somebody
-- waits for it.
-- 1 queued, 2 attached, 3 the content is needed, 4 too many jobs, 5 too many bytes, 6 chunks are missing, 7 too many
-- callbacks for this job, 8 too many messages.
local id, size, lane, place, content, callback = Arg(1), tonumber(Arg(2)), Arg(3), Arg(4), Arg(5), Arg(6)
local max_callbacks, max_messages, max_jobs, max_bytes =
    tonumber(Arg(7)), tonumber(Arg(8)), tonumber(Arg(9)), tonumber(Arg(10))
local is_urgent = Arg(11) == '1'
local job = ReadJob(id)

-- This very submit, which was carried out already: its content has a name of its own.
if job and #place > 1 and job.place == place then
  Confirm()
  return Answer(1)
end

if job and (job.state == QUEUED or job.state == LEASED) then
  if callback ~= '' and redis.call('SISMEMBER', CallbacksKey(id), callback) == 0 then
    if redis.call('SCARD', CallbacksKey(id)) >= max_callbacks then return Answer(7) end
    if stat.outbox >= max_messages then return Answer(8) end
    redis.call('SADD', CallbacksKey(id), callback)
  end
  -- What a worker has is under way, and what is paused has been tried: they stay where they are.
  local moves = is_urgent and job.state == QUEUED and not string.find(job.lane, 'urgent', 1, true) and
                    not redis.call('ZSCORE', PAUSED, id)
  Confirm()
  if moves then
    Out('again_' .. job.lane, id)
    Disown(job)
    local lane = 'urgent_' .. job.lane
    local seq = Enqueue(id, lane)
    redis.call('HSET', JobKey(id), 'lane', lane, 'seq', Text(seq))
    if job.seq == stat.first then FindFirst() end
  end
  return Answer(2)
end

if stat.jobs >= max_jobs then return Answer(4) end
if stat.bytes + size > max_bytes then return Answer(5) end
if callback ~= '' then
  if max_callbacks < 1 then return Answer(7) end
  if stat.outbox >= max_messages then return Answer(8) end
end
if place == '' then return Answer(3) end
local chunk_name, chunks = string.match(place, '^c:(%x+):(%d+)$')
for i = 0, tonumber(chunks or 0) - 1 do
  if redis.call('EXISTS', ChunkKey(id, chunk_name, i)) == 0 then return Answer(6) end
end

if is_urgent then lane = 'urgent_' .. lane end
Admit()
for i = 0, tonumber(chunks or 0) - 1 do redis.call('PERSIST', ChunkKey(id, chunk_name, i)) end
if job then ForgetFinished(id, job) end
ExpireDue(5)
local seq = Enqueue(id, lane)
local fields = {'HSET', JobKey(id), 'state', QUEUED, 'size', size, 'at', NOW, 'seq', Text(seq), 'attempts', 0, 'lost', 0,
                'note', '', 'lane', lane, 'place', place}
if place == 'i' then
  fields[#fields + 1] = 'content'
  fields[#fields + 1] = content
end
redis.call(unpack(fields))
if callback ~= '' then redis.call('SADD', CallbacksKey(id), callback) end
stat.bytes = stat.bytes + size
return Answer(1)
