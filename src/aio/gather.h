#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "aio/task.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/result.h"

namespace lazaret::aio {

// Runs all of `work` at once as tasks of `tasks`, on its executor, which must be the caller's, and gives their results
// in the same order. kUnavailable in the place of one that threw, or that the group did not take. When the caller is
// cancelled they go on: they must own what they use.
template <class T>
Task<std::vector<Result<T>>> Gather(TaskGroup& tasks, std::vector<Task<Result<T>>> work) {
  struct State {
    State(const Executor& executor, std::size_t count)
        : results(count, Fail(Errc::kUnavailable, "the work was not finished")),
          all_ended(executor, SteadyTime::max()) {}
    std::vector<Result<T>> results;
    std::size_t running = 0;
    boost::asio::steady_timer all_ended;
  };
  struct Ending {
    std::shared_ptr<State> state;
    ~Ending() {
      if (--state->running == 0) state->all_ended.cancel();
    }
  };
  static constexpr auto run = [](std::shared_ptr<State> state, std::size_t index, Task<Result<T>> one) -> Task<> {
    const Ending ending{state};
    state->results[index] = co_await std::move(one);
  };
  const auto state = std::make_shared<State>(tasks.executor(), work.size());
  for (std::size_t i = 0; i < work.size(); ++i) {
    ++state->running;
    if (!tasks.Spawn(run(state, i, std::move(work[i])))) --state->running;
  }
  if (state->running > 0) {
    co_await state->all_ended.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  // Cancelled: those that still run write into the state.
  if (state->running > 0) co_return std::vector<Result<T>>(state->results);
  co_return std::move(state->results);
}

}  // namespace lazaret::aio
