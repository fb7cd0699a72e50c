-- The newest jobs. Arguments: state or "0" for all, how many at most. Each as job_find.lua shows it, behind its id.
local state, limit = tonumber(Arg(1)), tonumber(Arg(2))
local jobs = {}
local function Show(id, wanted)
  local f = redis.call('HMGET', JobKey(id), 'state', 'size', 'at', 'seq', 'attempts', 'lost', 'note', 'place',
                       'finished', 'verdict')
  local is = tonumber(f[1] or 0)
  if is == 0 or (wanted ~= 0 and is ~= wanted) then return 0 end
  if is == ENDED and tonumber(f[9]) + KEEP_DONE <= NOW then return 0 end
  if is == BURIED and tonumber(f[9]) + KEEP_DEAD <= NOW then return 0 end
  for i = 1, 10 do f[i] = f[i] or '' end
  table.insert(f, 1, id)
  jobs[#jobs + 1] = f
  return 1
end
if limit > 0 and (state == 0 or state == QUEUED or state == LEASED) then
  local shown, at = 0, 0
  -- Those of the other state lie between; they are looked at 10,000 at most.
  while shown < limit and at < limit + 10000 do
    local ids = redis.call('ZREVRANGE', JOBS, at, at + 99)
    if #ids == 0 then break end
    at = at + #ids
    for _, id in ipairs(ids) do
      if shown < limit then shown = shown + Show(id, state) end
    end
  end
end
if limit > 0 and (state == 0 or state == ENDED) then
  for _, id in ipairs(redis.call('ZREVRANGE', DONE, 0, limit - 1)) do Show(id, ENDED) end
end
if limit > 0 and (state == 0 or state == BURIED) then
  for _, entry in ipairs(redis.call('XREVRANGE', DEAD, '+', '-', 'COUNT', limit)) do Show(entry[2][2], BURIED) end
end
return Answer(1, jobs)
