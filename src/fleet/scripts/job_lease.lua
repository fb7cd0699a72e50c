-- What the scripts on a lease share; it stands before each of them, behind job_common.lua. Their arguments begin with
-- id, token, and the number of this very call: Redis may have carried it out already when it comes once more.
local id, token, op = Arg(1), Arg(2), Arg(3)
local job = ReadJob(id)
if not job or job.token ~= token then
  if job and job.op == op then return Answer(1) end
  return Answer(0)
end
