-- Leases the oldest job that may begin: one that somebody waits for, but while others may begin, too, every fifth is one
-- of those. Arguments: "any" or "small", node, token, lease in ms.
-- 0 there is none; 1 with id, size, attempts, lost, place and, when it is inline, content.
local kind, node, token, lease = Arg(1), Arg(2), Arg(3), tonumber(Arg(4))
Ripen(100)
-- The older one of the heads of two lanes: its lane, and what Head says of it.
local function Oldest(small, large)
  local id, seq, again = Head(small)
  if kind == 'any' then
    local large_id, large_seq, large_again = Head(large)
    if large_id and (not id or large_seq < seq) then return large, large_id, large_seq, large_again end
  end
  return small, id, seq, again
end
for _ = 1, 100 do
  local lane, id, seq, again = Oldest('small', 'large')
  local urgent_lane, urgent_id, urgent_seq, urgent_again = Oldest('urgent_small', 'urgent_large')
  -- Urgent ones in a row while another one waits.
  local row = 0
  if urgent_id and (not id or stat.urgent_row < 4) then
    if id then row = stat.urgent_row + 1 end
    lane, id, seq, again = urgent_lane, urgent_id, urgent_seq, urgent_again
  end
  if not id then return Answer(0) end
  local job = ReadJob(id)
  local content = job and job.place == 'i' and redis.call('HGET', JobKey(id), 'content') or ''
  changed = true
  if not again then stat[lane] = seq end
  if job and job.state == QUEUED and job.seq == seq then
    Own(lane, Entry(seq), node)
    if again then Out('again_' .. lane, id) end
    stat.urgent_row = row
    Put('leases', NOW + lease, id)
    redis.call('HSET', JobKey(id), 'state', LEASED, 'token', token, 'node', node)
    return Answer(1, {id, job.size, job.attempts, job.lost, job.place, content})
  end
  -- What its job has left behind.
  Out('again_' .. lane, id)
  Dequeue(job and '' or id, {lane = lane, seq = seq, size = 0})
end
return Answer(0)
