#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "integration/redis_process.h"

namespace lazaret::tests {

// Every command that a Redis executes (MONITOR), while it lives. What scripts do is left out: it costs no round trip.
class RedisMonitor {
 public:
  // Returns when it sees what happens.
  explicit RedisMonitor(const RedisProcess& redis);
  ~RedisMonitor();
  RedisMonitor(const RedisMonitor&) = delete;
  RedisMonitor& operator=(const RedisMonitor&) = delete;

  // Commands so far of clients of this name (client_name in the URL) whose arguments hold `text`. First waits until
  // everything that was executed before this call has been seen.
  std::vector<std::string> Commands(std::string_view client, std::string_view text) const;

 private:
  struct Line {
    std::string address;
    std::string command;
  };
  void Read();
  std::set<std::string> AddressesOf(std::string_view client) const;

  const RedisProcess& redis_;
  UniqueFd connection_;
  mutable std::mutex mutex_;  // guards lines_
  std::vector<Line> lines_;
  std::jthread reader_;
};

}  // namespace lazaret::tests
