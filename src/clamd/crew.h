#pragma once

#include <boost/asio/steady_timer.hpp>

#include <cstddef>

#include "aio/task.h"
#include "aio/task_group.h"
#include "base/log.h"

namespace lazaret::clamd {

// Tasks of one connection that run side by side, a bounded number of them. One executor. Stop it before it goes.
class Crew {
 public:
  Crew(aio::Executor executor, Log& log, std::size_t most);

  // Waits until there is a place, then starts `task`.
  aio::Task<> Add(aio::Task<> task);
  // Add would not wait.
  aio::Task<> WaitForPlace();
  bool is_full() const { return running_ >= most_; }
  // Until none is left.
  aio::Task<> Wait();
  // Cancels all and waits for them.
  aio::Task<> Stop();
  bool empty() const { return running_ == 0; }
  std::size_t size() const { return running_; }

 private:
  aio::Task<> Run(aio::Task<> task);

  const std::size_t most_;
  std::size_t running_ = 0;
  boost::asio::steady_timer changed_;  // cancelled whenever a task has ended
  aio::TaskGroup group_;
};

}  // namespace lazaret::clamd
