-- Gives back what was taken for somebody who never heard of it. Arguments: node, token.
-- 0 there is no such lease, 1 done.
local node, token = Arg(1), Arg(2)
for _, lane in ipairs({'urgent_small', 'urgent_large', 'small', 'large'}) do
  local pending = redis.pcall('XPENDING', STREAM[lane], GROUP, '-', '+', 1000, node)
  if pending.err then pending = {} end
  for _, entry in ipairs(pending) do
    local found = redis.call('XRANGE', STREAM[lane], entry[1], entry[1])[1]
    local id = found and found[2][2]
    local job = id and ReadJob(id)
    if job and job.state == LEASED and job.token == token then
      Out('leases', id)
      redis.call('HSET', JobKey(id), 'state', QUEUED, 'token', '')
      Put('again_' .. lane, job.seq, id)
      Wake(lane)
      return Answer(1)
    end
  end
end
return Answer(0)
