#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "aio/task.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/result.h"
#include "fleet/job_replies.h"
#include "redis/client.h"

namespace lazaret::fleet {

// What came to streams of one slot behind the number `after`, in the order of each stream: at once, or as soon as there
// is something; none when nothing came within `patience`. Errors as JobErrorOf.
aio::Task<Result<std::vector<StreamEntry>>> ReadStreams(redis::Client& client, std::vector<std::string> streams,
                                                        std::uint64_t after, milliseconds patience,
                                                        milliseconds timeout);

// Hears of what comes to streams of one shard, by one blocking read at a time. On the executor of its tasks.
class StreamTail {
 public:
  using OnNews = std::function<void(Result<std::vector<StreamEntry>>)>;

  // The references must outlive it; it outlives its tasks.
  StreamTail(redis::Client& client, aio::TaskGroup& tasks, std::vector<std::string> streams, milliseconds patience,
             milliseconds timeout, OnNews on_news);

  // Begins to read what comes behind the number `after`, unless a read is under way: that began no later. One call of
  // OnNews for each.
  void Watch(std::uint64_t after);
  bool is_watching() const { return watching_; }
  // Behind which the last read began.
  std::uint64_t position() const { return position_; }

 private:
  aio::Task<> Read(std::uint64_t after);

  redis::Client& client_;
  aio::TaskGroup& tasks_;
  const std::vector<std::string> streams_;
  const milliseconds patience_;
  const milliseconds timeout_;
  const OnNews on_news_;
  bool watching_ = false;
  std::uint64_t position_ = 0;
};

}  // namespace lazaret::fleet
