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

#include "aio/task.h"
#include "base/clock.h"

namespace lazaret::aio {

// One value from a giver on any thread to one task that waits for it, or to nobody: the giver learns which. A value
// that was given and then not received, for the task was cancelled or destroyed, is destroyed. Thread-safe; shared by
// both ends, and it outlives both calls.
template <class T>
class Handoff {
 public:
  // False, and `value` is as it was, when the receiver has given up or has a value already.
  bool Give(T&& value) {
    std::shared_ptr<boost::asio::steady_timer> timer;
    {
      std::lock_guard lock(mutex_);
      if (closed_) return false;
      closed_ = true;
      value_.emplace(std::move(value));
      timer = std::move(timer_);
    }
    if (timer == nullptr) return true;
    auto executor = timer->get_executor();
    boost::asio::post(executor, [timer = std::move(timer)] { timer->expires_at(SteadyTime::min()); });
    return true;
  }

  // Give would return false.
  bool IsClosed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }

  // Nothing can be given any more, and what was is destroyed.
  void Close() { Take(); }

  // The value as soon as it is given; empty when `deadline` comes first or the caller is cancelled (its next wait
  // throws then). Call once.
  Task<std::optional<T>> Receive(SteadyTime deadline) {
    struct Closer {
      ~Closer() { handoff.Take(); }
      Handoff& handoff;
    } closer{*this};
    auto timer = std::make_shared<boost::asio::steady_timer>(co_await boost::asio::this_coro::executor, deadline);
    bool must_wait = false;
    {
      std::lock_guard lock(mutex_);
      must_wait = !value_;
      if (must_wait) timer_ = timer;
    }
    // Give moves the expiry into the past, which ends this wait, whichever of the two comes first.
    if (must_wait) co_await timer->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    co_return Take();
  }

 private:
  std::optional<T> Take() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    timer_.reset();
    return std::exchange(value_, std::nullopt);
  }

  mutable std::mutex mutex_;
  bool closed_ = false;
  std::optional<T> value_;
  std::shared_ptr<boost::asio::steady_timer> timer_;
};

}  // namespace lazaret::aio
