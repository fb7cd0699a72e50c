#pragma once

#include <atomic>
#include <cstdint>

namespace lazaret::redis {

// What a client has done since it was made. Any thread may read.
struct Counters {
  using Count = std::atomic<std::uint64_t>;

  Count round_trips = 0;  // of calls: repetitions and redirections count again, logging in and housekeeping do not
  Count commands = 0;     // sent in those
  Count writes = 0;       // write calls, for whatever
  Count up = 0;           // servers that there is a connection to now
  Count connects = 0;     // connections that were made, authentication included
  Count lost = 0;         // of those, the ones that ended while they were wanted
  Count connect_failures = 0;
  Count redirections = 0;  // MOVED and ASK
  Count retries = 0;       // repeated after TRYAGAIN, CLUSTERDOWN, a lost connection or a missing script
  Count refreshes = 0;     // of the topology of a cluster, or of a master's address
  Count timeouts = 0;      // calls that were given up at their deadline
  Count discarded = 0;     // replies that came when nobody waited for them any more
};

}  // namespace lazaret::redis
