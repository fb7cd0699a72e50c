#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <functional>
#include <memory>
#include <utility>

#include "aio/broadcast.h"
#include "aio/task.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/result.h"

namespace lazaret::aio {

// What `task` returns, which runs on the executor of `tasks` as one of them; the caller, on any executor, resumes on
// its own. A caller on that very executor runs it itself, and `tasks` does not know of it. kUnavailable when the group
// is closed and the task was never begun; kCancelled when it was cancelled with its group or ended by another
// exception. When the caller is cancelled it returns at once with kCancelled, and the task is cancelled, too, but may
// go on for a while: it must own what it uses.
template <class T>
Task<Result<T>> RunIn(TaskGroup& tasks, Task<Result<T>> task) {
  // Only ever copied by its pointer: a result may be large.
  using Answer = Broadcast<std::shared_ptr<Result<T>>>;
  struct State {
    Answer answer;
    std::function<void()> cancel;  // only on the executor of the group
    bool cancelled = false;        // likewise
  };
  static constexpr auto refuse = [](State& state, Errc code) {
    state.answer.Set(std::make_shared<Result<T>>(Fail(code, "the part that does this is being stopped")));
  };
  static constexpr auto run = [](std::shared_ptr<State> state, Task<Result<T>> work) -> Task<> {
    const struct AnswerAtEnd {
      State& state;
      ~AnswerAtEnd() {
        if (!state.answer.IsSet()) refuse(state, Errc::kCancelled);
      }
    } end{*state};
    state->answer.Set(std::make_shared<Result<T>>(co_await std::move(work)));
  };

  if (co_await boost::asio::this_coro::executor == tasks.executor()) co_return co_await std::move(task);
  const auto state = std::make_shared<State>();
  boost::asio::post(tasks.executor(), [&tasks, state, work = std::move(task)]() mutable {
    if (state->cancelled) return refuse(*state, Errc::kCancelled);
    state->cancel = tasks.SpawnCancellable(run(state, std::move(work)));
    if (!state->cancel) refuse(*state, Errc::kUnavailable);
  });
  const auto answer = co_await state->answer.Wait(SteadyTime::max());
  if (answer) co_return std::move(**answer);
  boost::asio::post(tasks.executor(), [state] {
    state->cancelled = true;
    if (state->cancel) state->cancel();
  });
  co_return Fail(Errc::kCancelled, "cancelled while another part worked on it");
}

}  // namespace lazaret::aio
