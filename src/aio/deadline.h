#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <string>
#include <utility>

#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"

namespace lazaret::aio {

// Returns at `time`, or at once when the caller is cancelled (its next wait throws then).
inline Task<> SleepUntil(SteadyTime time) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
  co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

// What `task` returns, or kTimeout with `what` when `deadline` comes first; `task` is cancelled and has ended then.
// `task` must report its failures as a Result: what it throws would only be seen at the deadline (Asio 1.81).
template <class T>
Task<Result<T>> WithDeadline(Task<Result<T>> task, SteadyTime deadline, std::string what) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto first = co_await (std::move(task) || SleepUntil(deadline));
  if (first.index() == 0) co_return std::get<0>(std::move(first));
  co_return Fail(Errc::kTimeout, std::move(what));
}

}  // namespace lazaret::aio
