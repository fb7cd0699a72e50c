-- Behind job_lease.lua. Further arguments: lease in ms, node. 0 the lease has been lost, 1 done.
Own(job.lane, Entry(job.seq), Arg(5), 'JUSTID')
Put('leases', NOW + tonumber(Arg(4)), id)
return Answer(1)
