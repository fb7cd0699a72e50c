-- Which overrides there are. KEYS: entries (hash by content), their version. ARGV: the version that the asker has.
-- Returns now (ms, as text), the version ("" for none), and the entries unless the asker has them; some may be over.
local time = redis.call('TIME')
local version = redis.call('GET', KEYS[2]) or ''
local entries = false
if version ~= ARGV[1] then entries = redis.call('HVALS', KEYS[1]) end
return { string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), version, entries }
