-- Stores a verdict unless a newer signature set of the same kind said something else for good (core/freshness.h,
-- IsNewerSet; the header is in verdict_value.h). Idempotent.
-- KEYS: the verdict. ARGV: value, ms until it expires (0 or less: it has already). Returns 1 when it was stored.
local function is_newer(a, b)
  local comparable = a:sub(1, 1) == b:sub(1, 1) and a:sub(3, 3) == 'd' and a:sub(3, 4) == b:sub(3, 4)
      and a:sub(13, 44) == b:sub(13, 44)
  if not comparable then return false end
  for i = 5, 12 do
    if a:byte(i) ~= b:byte(i) then return a:byte(i) > b:byte(i) end
  end
  return false
end

-- A key that holds something else is written over.
local old = redis.pcall('GETRANGE', KEYS[1], 0, 43)
if type(old) == 'string' and #old == 44 and old:sub(2, 2) == 'l' and is_newer(old, ARGV[1]) then return 0 end
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return 1
