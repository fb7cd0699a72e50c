-- What time brings about. Argument: "1" to forget nodes that are gone, too.
-- 1 done; 2 Redis takes nothing in now, with its error.
for set, key in pairs(SETS) do stat[set] = redis.call('ZCARD', key) end
stat.dead = redis.call('XLEN', DEAD)
for lane, stream in pairs(STREAM) do
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  local tail = last and tonumber(string.match(last[1], '^%d+')) or 0
  stat[lane .. '_tail'] = math.max(stat[lane .. '_tail'], tail)
end
FindFirst()
if stat.jobs == 0 then stat.bytes = 0 end
for _, name in ipairs(NAMES) do changed = changed or stat[name] ~= stored[name] end
Ripen(1000)
Expire(200)
if Arg(1) == '1' then
  for _, stream in pairs(STREAM) do
    local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, GROUP)
    if not consumers.err then
      for _, one in ipairs(consumers) do
        local named = {}
        for i = 1, #one, 2 do named[one[i]] = one[i + 1] end
        if named.pending == 0 and named.idle > 3600000 then
          redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, named.name)
        end
      end
    end
  end
end
-- Changes nothing, but is refused when a submit would be.
local refused = redis.pcall('HSETNX', STAT, 'tick', 0)
if type(refused) == 'table' and refused.err then return Answer(2, {refused.err}) end
return Answer(1)
