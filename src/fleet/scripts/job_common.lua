-- What the scripts of the job queue share; it stands before each of them. docs/redis.md describes the keys.
--
-- KEYS are those of one shard, in the order of ShardKeys (job_keys.cc); the keys of single jobs, contents and messages
-- have the same hash tag. ARGV begins with what is common to all, see ShardCalls (job_calls.cc); Arg(i) counts behind it.
--
-- A script that takes something in begins its writing with a command that Redis refuses when it has no memory left
-- (DENYOOM: HSET, SADD): nothing has been done then. A script that carries work on or ends it begins with one that is
-- never refused (ZREM, XCLAIM): from then on Redis lets the whole script pass, and a full Redis can be emptied.
-- Whatever a script writes about one job it has read before: a slot that is being moved fails before the first write.
local STAT, SMALL, LARGE, AGAIN_SMALL, AGAIN_LARGE, PAUSED, LEASES, JOBS, DONE, DEAD, WAKE, FINISHED, OUTBOX, MAIL, TOLD,
    URGENT_SMALL, URGENT_LARGE, URGENT_AGAIN_SMALL, URGENT_AGAIN_LARGE = unpack(KEYS)
local PREFIX = string.sub(STAT, 1, -5)  -- without "stat"
-- Lanes: of small and of large jobs, each with another one for the jobs that somebody waits for.
local STREAM = {small = SMALL, large = LARGE, urgent_small = URGENT_SMALL, urgent_large = URGENT_LARGE}
local AGAIN = {small = AGAIN_SMALL, large = AGAIN_LARGE, urgent_small = URGENT_AGAIN_SMALL,
               urgent_large = URGENT_AGAIN_LARGE}
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

-- What is known of the shard as a whole, in one hash. The sizes of the sets are kept there, too, so that the scripts need
-- not ask for each; job_upkeep.lua counts them anew.
local SETS = {again_small = AGAIN_SMALL, again_large = AGAIN_LARGE, paused = PAUSED, leases = LEASES, jobs = JOBS,
              done = DONE, outbox = OUTBOX, again_urgent_small = URGENT_AGAIN_SMALL,
              again_urgent_large = URGENT_AGAIN_LARGE}
local NAMES = {'seq', 'tick', 'bytes', 'dead_bytes', 'trimmed', 'expiry', 'first', 'first_at', 'dead', 'small',
               'small_tail', 'large', 'large_tail', 'again_small', 'again_large', 'paused', 'leases', 'jobs', 'done',
               'outbox', 'urgent_small', 'urgent_small_tail', 'urgent_large', 'urgent_large_tail', 'again_urgent_small',
               'again_urgent_large', 'urgent_row'}
local stat, stored = {}, {}
for i, value in ipairs(redis.call('HMGET', STAT, unpack(NAMES))) do
  stored[NAMES[i]] = tonumber(value or 0)
  stat[NAMES[i]] = stored[NAMES[i]]
end
local changed = false
local gone = {}  -- files of the shared directory that nothing refers to any more: "<id>.<name>"

local function Put(set, score, member)
  local added = redis.call('ZADD', SETS[set], Text(score), member)
  stat[set] = stat[set] + added
  changed = true
end
local function Out(set, member)
  local removed = redis.call('ZREM', SETS[set], member)
  stat[set] = stat[set] - removed
  changed = true
end
-- The lowest score of a set; empty when there is none.
local function Lowest(set)
  if stat[set] <= 0 then return nil end
  local first = redis.call('ZRANGE', SETS[set], 0, 0, 'WITHSCORES')
  return first[1] and tonumber(first[2])
end

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
  if stat['again_' .. lane] > 0 then
    local again = redis.call('ZRANGE', AGAIN[lane], 0, 0, 'WITHSCORES')
    if again[1] then return again[1], tonumber(again[2]), true end
  end
  if stat[lane] < stat[lane .. '_tail'] then
    local fresh = redis.call('XRANGE', STREAM[lane], '(' .. Entry(stat[lane]), '+', 'COUNT', 1)
    if fresh[1] then return fresh[1][2][2], tonumber(string.match(fresh[1][1], '^%d+')), false end
    stat[lane] = stat[lane .. '_tail']  -- all that came behind it was dropped
  end
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
    for i = 0, tonumber(count or 0) - 1 do redis.call('UNLINK', ChunkKey(id, name, i)) end
  elseif kind == 'f' then
    gone[#gone + 1] = id .. '.' .. string.sub(place, 3)
  end
end

local function RemoveDead(entry)
  stat.dead = stat.dead - redis.call('XDEL', DEAD, entry)
  changed = true
end

-- Of a job that has finished.
local function ForgetFinished(id, job)
  RemoveContent(id, job.place)
  if job.state == ENDED then
    Out('done', id)
  else
    RemoveDead(Entry(job.dead))
    if job.place ~= '' then stat.dead_bytes = stat.dead_bytes - job.size end
  end
  redis.call('UNLINK', JobKey(id))
end

-- Forgets what has been kept long enough or is too much, in small steps.
local function Expire(steps)
  local function ForgetDone(ids)
    for _, id in ipairs(ids) do
      local job = ReadJob(id)
      if job and job.state == ENDED then ForgetFinished(id, job) else Out('done', id) end
    end
  end
  ForgetDone(redis.call('ZRANGEBYSCORE', DONE, '-inf', Text(NOW - KEEP_DONE), 'LIMIT', 0, steps))
  local over = math.min(stat.done - MAX_DONE, steps)
  if over > 0 then ForgetDone(redis.call('ZRANGE', DONE, 0, over - 1)) end
  over = stat.dead - MAX_DEAD
  local next_dead
  for i, entry in ipairs(redis.call('XRANGE', DEAD, '-', '+', 'COUNT', steps + 1)) do
    local id, at = entry[2][2], tonumber(entry[2][4])
    next_dead = at + KEEP_DEAD
    if (i > over and next_dead > NOW) or i > steps then break end
    local job = ReadJob(id)
    if job and job.state == BURIED and Entry(job.dead) == entry[1] then
      ForgetFinished(id, job)
    else
      RemoveDead(entry[1])
    end
  end
  local next_done = Lowest('done')
  stat.expiry = math.min(next_done and next_done + KEEP_DONE or NOW + KEEP_DONE, next_dead or NOW + KEEP_DEAD)
end
-- Only when there is something to forget.
local function ExpireDue(steps)
  if stat.expiry <= NOW or stat.done > MAX_DONE or stat.dead > MAX_DEAD then Expire(steps) end
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
  local function Due(set)
    if (Lowest(set) or NOW + 1) > NOW then return {} end
    return redis.call('ZRANGEBYSCORE', SETS[set], '-inf', Text(NOW), 'LIMIT', 0, steps)
  end
  local function Again(id, job)
    Put('again_' .. job.lane, job.seq, id)
    Wake(job.lane)
  end
  for _, id in ipairs(Due('leases')) do
    local job = ReadJob(id)
    Out('leases', id)
    if job and job.state == LEASED then
      redis.call('HSET', JobKey(id), 'state', QUEUED, 'token', '', 'lost', job.lost + 1)
      Again(id, job)
    end
  end
  for _, id in ipairs(Due('paused')) do
    local job = ReadJob(id)
    Out('paused', id)
    if job and job.state == QUEUED then Again(id, job) end
  end
end

-- Behind all others.
local function Enqueue(id, lane)
  local seq = NextSeq()
  redis.call('XADD', STREAM[lane], Entry(seq), 'id', id)
  stat[lane .. '_tail'] = seq
  if stat.jobs == 0 then stat.first, stat.first_at = seq, NOW end
  Put('jobs', seq, id)
  return seq
end
-- The oldest job that has not finished.
local function FindFirst()
  local first = redis.call('ZRANGE', JOBS, 0, 0, 'WITHSCORES')
  stat.first = tonumber(first[2] or 0)
  stat.first_at = first[1] and tonumber(redis.call('HGET', JobKey(first[1]), 'at') or -1) or -1
end
-- It leaves its lane, for another one or for good.
local function Dequeue(id, job)
  Out('jobs', id)
  Disown(job)
  stat.bytes = stat.bytes - job.size
  if job.seq == stat.first then FindFirst() end
end

-- A message that is due now.
local function Post(id, callback, verdict, message, told)
  local seq = NextSeq()
  redis.call('HSET', PREFIX .. 'message:' .. Text(seq), 'id', id, 'callback', callback, 'verdict', verdict, 'message',
             message, 'attempts', 0, 'told', told)
  Put('outbox', NOW, Text(seq))
  redis.call('XADD', MAIL, 'MAXLEN', '~', 100, Entry(seq), 'message', Text(seq))
end

-- Makes an answer that changes nothing one that replicas must have, too, before WAIT counts them: it may be about what
-- another submit has written that they do not have. ZREM is never refused.
local function Confirm()
  redis.call('ZREM', LEASES, '')
  changed = true
end

-- What every script says: its own status, the figures of the shard, the files to delete, and more.
local function Answer(status, more)
  -- The number of an urgent one is halved: whoever compares shards takes it for older than all that are not urgent.
  local function Oldest(lane)
    local urgent, urgent_seq = Head('urgent_' .. lane)
    if urgent then return math.floor(urgent_seq / 2) end
    local _, seq = Head(lane)
    return seq
  end
  local small, large = Oldest('small'), Oldest('large')
  if stat.jobs <= 0 then stat.bytes, stat.first, stat.first_at = 0, 0, -1 end
  -- What a loss of the hash has made wrong is put right by job_upkeep.lua; until then it is no number that means nothing.
  for _, name in ipairs({'jobs', 'leases', 'done', 'dead', 'outbox', 'bytes', 'dead_bytes'}) do
    stat[name] = math.max(stat[name], 0)
  end
  if changed then
    stat.tick = stat.tick + 1
    local write = {'HSET', STAT}
    for _, name in ipairs(NAMES) do
      if stat[name] ~= stored[name] then
        write[#write + 1] = name
        write[#write + 1] = Text(stat[name])
      end
    end
    redis.call(unpack(write))
  end
  local function Left(due) return due and math.max(due - NOW, 0) or -1 end
  local paused, leased = Lowest('paused'), Lowest('leases')
  if paused and (not leased or paused < leased) then leased = paused end
  return {status,
          {NOW_US, stat.seq, stat.tick, stat.jobs, stat.leases, stat.done, stat.dead, stat.bytes,
           stat.jobs > 0 and stat.first_at or -1, small, large, Left(leased), stat.outbox, Left(Lowest('outbox'))},
          gone, more or {}}
end

