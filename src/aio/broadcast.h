#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "aio/task.h"
#include "base/clock.h"

namespace lazaret::aio {

// One value that is set once and wakes any number of tasks on any executors. Thread-safe.
template <class T>
class Broadcast {
 public:
  // The first call sets the value; later ones do nothing.
  void Set(T value) {
    std::vector<std::shared_ptr<boost::asio::steady_timer>> waiters;
    {
      std::lock_guard lock(mutex_);
      if (value_) return;
      value_.emplace(std::move(value));
      waiters.swap(waiters_);
    }
    for (auto& timer : waiters) {
      auto executor = timer->get_executor();
      boost::asio::post(executor, [timer = std::move(timer)] { timer->expires_at(SteadyTime::min()); });
    }
  }

  bool IsSet() const {
    std::lock_guard lock(mutex_);
    return value_.has_value();
  }
  // Empty while it is not set.
  std::optional<T> Get() const {
    std::lock_guard lock(mutex_);
    return value_;
  }

  // A copy of the value as soon as it is set; empty when `deadline` comes first or the caller is cancelled (its next wait
  // throws then).
  Task<std::optional<T>> Wait(SteadyTime deadline) {
    auto timer = std::make_shared<boost::asio::steady_timer>(co_await boost::asio::this_coro::executor, deadline);
    {
      std::lock_guard lock(mutex_);
      if (value_) co_return value_;
      waiters_.push_back(timer);
    }
    // Set moves the expiry into the past, which ends this wait, whichever of the two comes first.
    co_await timer->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    std::lock_guard lock(mutex_);
    std::erase(waiters_, timer);
    co_return value_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<T> value_;
  std::vector<std::shared_ptr<boost::asio::steady_timer>> waiters_;
};

}  // namespace lazaret::aio
