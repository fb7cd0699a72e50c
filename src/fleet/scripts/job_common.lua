-- What the scripts of the job queue share; it stands before each of them. docs/redis.md describes the keys.
--
-- KEYS are those of one shard, in the order of ShardKeys (job_keys.cc); the keys of single jobs, contents and messages
-- have the same hash tag. ARGV begins with what is common to all, see ShardCalls (job_calls.cc); Arg(i) counts behind it.
--
-- A script that takes something in begins its writing with a command that Redis refuses when it has no memory left
-- (DENYOOM: HSET, SADD): nothing has been done then. A script that carries work on or ends it begins with one that is
-- never refused (ZREM, XCLAIM): from then on Redis lets the whole script pass, and a full Redis can be emptied.
-- Whatever a script writes about one job it has read before: a slot that is being moved fails before the first write.
local STAT, SMALL, LARGE, AGAIN_SMALL, AGAIN_LARGE, PAUSED, LEASES, JOBS, DONE, DEAD, WAKE, FINISHED, OUTBOX, MAIL, TOLD =
    unpack(KEYS)
local PREFIX = string.sub(STAT, 1, -5)  -- without "stat"
local STREAM = {small = SMALL, large = LARGE}
local AGAIN = {small = AGAIN_SMALL, large = AGAIN_LARGE}
local GROUP = 'workers'
local QUEUED, LEASED, ENDED, BURIED = 1, 2, 3, 4  -- JobState

local KEEP_DONE, KEEP_DEAD = tonumber(ARGV[1]), tonumber(ARGV[2])
local MAX_DONE, MAX_DEAD, MAX_DEAD_BYTES = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local SEEN = tonumber(ARGV[6])
local function Arg(i) return ARGV[6 + i] end

local time = redis.call('TIME')
local NOW_US = time[1] * 1000000 + time[2]
local NOW = math.floor(NOW_US / 1000)

-- Numbers beyond 2^31 as Redis wants them: tostring() rounds.
local function Text(number) return string.format('%.0f', number) end
local function Entry(seq) return Text(seq) .. '-0' end

local stat = {}
do
  local names = {'seq', 'bytes', 'dead_bytes', 'small', 'large', 'trimmed', 'tick'}
  local values = redis.call('HMGET', STAT, unpack(names))
  for i, name in ipairs(names) do stat[name] = tonumber(values[i] or 0) end
end
local changed = false
local gone = {}  -- files of the shared directory that nothing refers to any more: "<id>.<name>"

-- Refused when there is no memory: before a script takes something in.
local function Admit()
  redis.call('HSET', STAT, 'tick', Text(stat.tick))
  changed = true
end

-- A number that is greater than all before in this shard, than all that the caller has seen in others, and than those
-- of a Redis that has forgotten everything: it is about the time in microseconds.
local function NextSeq()
  stat.seq = math.max(stat.seq + 1, NOW_US, SEEN + 1)
  changed = true
  return stat.seq
end

local function JobKey(id) return PREFIX .. 'job:' .. id end
local function CallbacksKey(id) return PREFIX .. 'callbacks:' .. id end
local function ChunkKey(id, name, i) return PREFIX .. 'content:' .. id .. ':' .. name .. ':' .. i end

local function ReadJob(id)
  local f = redis.call('HMGET', JobKey(id), 'state', 'size', 'seq', 'attempts', 'lost', 'token', 'op', 'lane', 'place',
                       'at', 'dead')
  if not f[1] then return nil end
  return {state = tonumber(f[1]), size = tonumber(f[2]), seq = tonumber(f[3]), attempts = tonumber(f[4]),
          lost = tonumber(f[5]), token = f[6] or '', op = f[7] or '', lane = f[8], place = f[9] or '',
          at = f[10], dead = tonumber(f[11] or 0)}
end

-- The first job of a lane that may begin: its id, its number, and whether it was handed out before.
local function Head(lane)
  local again = redis.call('ZRANGE', AGAIN[lane], 0, 0, 'WITHSCORES')
  if again[1] then return again[1], tonumber(again[2]), true end
  local fresh = redis.call('XRANGE', STREAM[lane], '(' .. Entry(stat[lane]), '+', 'COUNT', 1)
  if fresh[1] then return fresh[1][2][2], tonumber(string.match(fresh[1][1], '^%d+')), false end
  return nil, 0, false
end

-- Makes a stream's entry pending for this node, with its idle time at 0.
local function Own(lane, entry, node, ...)
  local claim = {'XCLAIM', STREAM[lane], GROUP, node, 0, entry, 'FORCE', 'LASTID', entry, ...}
  local claimed = redis.pcall(unpack(claim))
  if claimed.err then
    if not string.find(claimed.err, 'NOGROUP', 1, true) then return error(claimed.err) end
    redis.call('XGROUP', 'CREATE', STREAM[lane], GROUP, '0', 'MKSTREAM')
    redis.call(unpack(claim))
  end
end
local function Disown(job)
  local entry = Entry(job.seq)
  redis.call('XACK', STREAM[job.lane], GROUP, entry)
  redis.call('XDEL', STREAM[job.lane], entry)
end

local function Wake(lane)
  redis.call('XADD', WAKE, 'MAXLEN', '~', 100, Entry(NextSeq()), 'lane', lane)
end

local function RemoveContent(id, place)
  local kind = string.sub(place, 1, 1)
  if kind == 'i' then
    redis.call('HDEL', JobKey(id), 'content')
  elseif kind == 'c' then
    local name, count = string.match(place, '^c:(%x+):(%d+)$')
    for i = 0, tonumber(count) - 1 do redis.call('UNLINK', ChunkKey(id, name, i)) end
  elseif kind == 'f' then
    gone[#gone + 1] = id .. '.' .. string.sub(place, 3)
  end
end

-- Of a job that has finished.
local function ForgetFinished(id, job)
  RemoveContent(id, job.place)
  if job.state == ENDED then
    redis.call('ZREM', DONE, id)
  else
    redis.call('XDEL', DEAD, Entry(job.dead))
    if job.place ~= '' then stat.dead_bytes = stat.dead_bytes - job.size end
  end
  redis.call('UNLINK', JobKey(id))
  changed = true
end

-- Forgets what has been kept long enough or is too much, in small steps.
local function Expire(steps)
  local function ForgetDone(ids)
    for _, id in ipairs(ids) do
      local job = ReadJob(id)
      if job and job.state == ENDED then ForgetFinished(id, job) else redis.call('ZREM', DONE, id) end
      changed = true
    end
  end
  ForgetDone(redis.call('ZRANGEBYSCORE', DONE, '-inf', Text(NOW - KEEP_DONE), 'LIMIT', 0, steps))
  local over = math.min(redis.call('ZCARD', DONE) - MAX_DONE, steps)
  if over > 0 then ForgetDone(redis.call('ZRANGE', DONE, 0, over - 1)) end
  over = redis.call('XLEN', DEAD) - MAX_DEAD
  for i, entry in ipairs(redis.call('XRANGE', DEAD, '-', '+', 'COUNT', steps)) do
    local id, at = entry[2][2], tonumber(entry[2][4])
    if i > over and at + KEEP_DEAD > NOW then break end
    local job = ReadJob(id)
    if job and job.state == BURIED and Entry(job.dead) == entry[1] then
      ForgetFinished(id, job)
    else
      redis.call('XDEL', DEAD, entry[1])
    end
    changed = true
  end
end

-- The oldest dead letters lose their contents while those take too much.
local function TrimDead()
  for _ = 1, 1000 do
    if stat.dead_bytes <= MAX_DEAD_BYTES then return end
    local entry = redis.call('XRANGE', DEAD, '(' .. Entry(stat.trimmed), '+', 'COUNT', 1)[1]
    if not entry then
      stat.dead_bytes = 0
      return
    end
    stat.trimmed = tonumber(string.match(entry[1], '^%d+'))
    local id = entry[2][2]
    local job = ReadJob(id)
    if job and job.state == BURIED and job.place ~= '' then
      RemoveContent(id, job.place)
      redis.call('HSET', JobKey(id), 'place', '')
      stat.dead_bytes = stat.dead_bytes - job.size
    end
  end
end

-- Jobs whose leases are over count as lost; they and those whose pauses are over may begin again.
local function Ripen(steps)
  local function Again(id, job)
    redis.call('ZADD', AGAIN[job.lane], Text(job.seq), id)
    Wake(job.lane)
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', Text(NOW), 'LIMIT', 0, steps)) do
    local job = ReadJob(id)
    redis.call('ZREM', LEASES, id)
    changed = true
    if job and job.state == LEASED then
      redis.call('HSET', JobKey(id), 'state', QUEUED, 'token', '', 'lost', job.lost + 1)
      Again(id, job)
    end
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', PAUSED, '-inf', Text(NOW), 'LIMIT', 0, steps)) do
    local job = ReadJob(id)
    redis.call('ZREM', PAUSED, id)
    changed = true
    if job and job.state == QUEUED then Again(id, job) end
  end
end

-- Behind all others.
local function Enqueue(id, lane)
  local seq = NextSeq()
  redis.call('XADD', STREAM[lane], Entry(seq), 'id', id)
  redis.call('ZADD', JOBS, Text(seq), id)
  return seq
end

-- A message that is due now.
local function Post(id, callback, verdict, message, told)
  local seq = Text(NextSeq())
  redis.call('HSET', PREFIX .. 'message:' .. seq, 'id', id, 'callback', callback, 'verdict', verdict, 'message', message,
             'attempts', 0, 'told', told)
  redis.call('ZADD', OUTBOX, NOW, seq)
  redis.call('XADD', MAIL, 'MAXLEN', '~', 100, seq .. '-0', 'message', seq)
end

-- Milliseconds until the first of a set is due; -1 when it is empty.
local function Until(...)
  local first = -1
  for _, key in ipairs({...}) do
    local due = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if due[1] then
      local left = math.max(tonumber(due[2]) - NOW, 0)
      if first < 0 or left < first then first = left end
    end
  end
  return first
end

-- What every script says: its own status, the figures of the shard, the files to delete, and more.
local function Answer(status, more)
  local unfinished = redis.call('ZCARD', JOBS)
  if unfinished == 0 then stat.bytes = 0 end
  if changed then
    stat.tick = stat.tick + 1
    redis.call('HSET', STAT, 'seq', Text(stat.seq), 'bytes', Text(stat.bytes), 'dead_bytes', Text(stat.dead_bytes),
               'small', Text(stat.small), 'large', Text(stat.large), 'trimmed', Text(stat.trimmed), 'tick',
               Text(stat.tick))
  end
  local oldest = -1
  local first = redis.call('ZRANGE', JOBS, 0, 0)[1]
  if first then oldest = tonumber(redis.call('HGET', JobKey(first), 'at') or -1) end
  local _, small = Head('small')
  local _, large = Head('large')
  return {status,
          {NOW_US, stat.seq, stat.tick, unfinished, redis.call('ZCARD', LEASES), redis.call('ZCARD', DONE),
           redis.call('XLEN', DEAD), stat.bytes, oldest, small, large, Until(PAUSED, LEASES),
           redis.call('ZCARD', OUTBOX), Until(OUTBOX)},
          gone, more or {}}
end

