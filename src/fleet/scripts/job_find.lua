-- On its own: KEYS[1] is a job. Arguments: for how long done and dead ones are kept, in ms. Empty when there is none.
local f = redis.call('HMGET', KEYS[1], 'state', 'size', 'at', 'seq', 'attempts', 'lost', 'note', 'place', 'finished',
                     'verdict')
if not f[1] then return {} end
if f[1] == '3' or f[1] == '4' then
  local time = redis.call('TIME')
  local keep = tonumber(f[1] == '3' and ARGV[1] or ARGV[2])
  if tonumber(f[9]) + keep <= math.floor((time[1] * 1000000 + time[2]) / 1000) then return {} end
end
for i = 1, 10 do f[i] = f[i] or '' end
return f
