#pragma once

#include <boost/asio/cancellation_signal.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <memory>

#include "aio/task.h"

namespace lazaret::aio {

// Owns running tasks on one single-threaded executor, so that none is forgotten and none outlives what it uses.
// Everything but the constructor runs on that executor. Wait for it before it is destroyed.
class TaskGroup {
 public:
  // `on_exception` gets what a task threw, except its own cancellation: a broken invariant, to be logged once.
  TaskGroup(Executor executor, std::function<void(std::exception_ptr)> on_exception);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts `task`; false, and it never runs, once the group is closed.
  bool Spawn(Task<> task);
  // Starts `task` and lets the returned function cancel just this one, from the group's executor, at any time. Empty,
  // and the task never runs, once the group is closed.
  std::function<void()> SpawnCancellable(Task<> task);

  void Close();      // accept no more tasks
  void CancelAll();  // ask those that run to end
  Task<> Wait();     // until none is left; close first
  std::size_t size() const { return running_.size(); }
  Executor executor() const { return executor_; }

 private:
  using Running = std::list<std::shared_ptr<boost::asio::cancellation_signal>>;
  void Start(Task<> task, const std::shared_ptr<boost::asio::cancellation_signal>& signal);

  Executor executor_;
  std::function<void(std::exception_ptr)> on_exception_;
  Running running_;
  std::list<std::function<void()>> idle_waiters_;
  bool closed_ = false;
};

}  // namespace lazaret::aio
