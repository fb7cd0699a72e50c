#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <stdexcept>
#include <thread>

#include "aio/blocking_pool.h"
#include "aio/broadcast.h"
#include "aio/caught.h"
#include "aio/deadline.h"
#include "aio/gather.h"
#include "aio/handoff.h"
#include "aio/resolver.h"
#include "aio/run_in.h"
#include "aio/task_group.h"

namespace lazaret::aio {
namespace {

namespace asio = boost::asio;

SteadyTime After(milliseconds time) { return std::chrono::steady_clock::now() + time; }
SteadyTime Never() { return After(std::chrono::hours(1)); }

template <class T>
T RunTask(Task<T> task) {
  asio::io_context io;
  auto future = asio::co_spawn(io, std::move(task), asio::use_future);
  io.run();
  return future.get();
}

Task<Result<int>> Forever() {
  co_await SleepUntil(Never());
  co_return 1;
}
Task<Result<int>> Seven() { co_return 7; }

TEST(WithDeadline, ReturnsTheResultOfAQuickTask) {
  EXPECT_EQ(RunTask(WithDeadline(Seven(), Never(), "slow")), Result<int>(7));
}

TEST(WithDeadline, CancelsASlowTask) {
  const Result<int> result = RunTask(WithDeadline(Forever(), After(milliseconds(5)), "slow"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{Errc::kTimeout, "slow"}));
}

TEST(BlockingPool, RunsElsewhereAndResumesHere) {
  BlockingPool pool(1);
  const auto here = std::this_thread::get_id();
  EXPECT_TRUE(RunTask([](BlockingPool& p, std::thread::id mine) -> Task<bool> {
    const auto there = co_await p.Run([] { return std::this_thread::get_id(); });
    co_return there != mine&& std::this_thread::get_id() == mine;
  }(pool, here)));
}

TEST(BlockingPool, PassesExceptionsOn) {
  BlockingPool pool(1);
  EXPECT_THROW(RunTask(pool.Run([]() -> int { throw std::runtime_error("broken"); })), std::runtime_error);
}

TEST(Broadcast, WakesWaitersOnEveryThread) {
  Broadcast<int> broadcast;
  std::vector<std::jthread> threads;
  std::atomic<int> sum = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      sum += RunTask([](Broadcast<int>& b) -> Task<int> {
        const auto value = co_await b.Wait(Never());
        co_return value.value_or(0);
      }(broadcast));
    });
  }
  broadcast.Set(10);
  broadcast.Set(99);
  threads.clear();
  EXPECT_EQ(sum, 40);
}

TEST(Broadcast, GivesUpAtTheDeadline) {
  Broadcast<int> broadcast;
  EXPECT_EQ(RunTask(broadcast.Wait(After(milliseconds(5)))), std::nullopt);
}

TEST(Handoff, GivesAValueThatIsWaitedForOrNotYet) {
  for (const bool before : {true, false}) {
    Handoff<int> handoff;
    asio::io_context io;
    auto received = asio::co_spawn(io, handoff.Receive(Never()), asio::use_future);
    if (!before) io.poll();
    std::jthread giver([&] { EXPECT_TRUE(handoff.Give(5)); });
    if (before) giver.join();
    io.restart();
    io.run();
    EXPECT_EQ(received.get(), 5);
    EXPECT_FALSE(handoff.Give(6));
  }
}

TEST(Handoff, TellsTheGiverThatNobodyWaitsAnyMore) {
  Handoff<std::unique_ptr<int>> handoff;
  EXPECT_EQ(RunTask(handoff.Receive(After(milliseconds(5)))), std::nullopt);
  EXPECT_TRUE(handoff.IsClosed());
  auto value = std::make_unique<int>(5);
  EXPECT_FALSE(handoff.Give(std::move(value)));
  EXPECT_NE(value, nullptr) << "it is the giver's still";
}

TEST(Handoff, DestroysWhatNobodyReceives) {
  const auto counted = [](int& destroyed) { return std::shared_ptr<int>(&destroyed, [](int* count) { ++*count; }); };
  int destroyed = 0;
  {
    Handoff<std::shared_ptr<int>> handoff;
    EXPECT_TRUE(handoff.Give(counted(destroyed)));
    handoff.Close();
    EXPECT_EQ(destroyed, 1);
  }
  // With the executor, after it was given.
  auto handoff = std::make_shared<Handoff<std::shared_ptr<int>>>();
  {
    asio::io_context io;
    asio::co_spawn(io, handoff->Receive(Never()), asio::detached);
    io.poll();
    EXPECT_TRUE(handoff->Give(counted(destroyed)));
  }
  EXPECT_EQ(destroyed, 2);
  EXPECT_TRUE(handoff->IsClosed());
}

TEST(Handoff, ACancelledReceiverHasTheValueOrIsGone) {
  for (const bool given : {true, false}) {
    Handoff<int> handoff;
    asio::io_context io;
    asio::cancellation_signal cancel;
    std::optional<int> received;
    asio::co_spawn(
        io, handoff.Receive(Never()),
        asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr, std::optional<int> v) { received = v; }));
    io.poll();
    if (given) EXPECT_TRUE(handoff.Give(5));
    cancel.emit(asio::cancellation_type::terminal);
    io.restart();
    io.run();
    EXPECT_EQ(received.has_value(), given);
    EXPECT_FALSE(handoff.Give(6));
  }
}

TEST(TaskGroup, CancelsAndWaitsForItsTasks) {
  asio::io_context io;
  TaskGroup group(io.get_executor(), [](std::exception_ptr) { ADD_FAILURE(); });
  int ended = 0;
  const auto sleeper = [](int& count) -> Task<> {
    struct Count {
      int& n;
      ~Count() { ++n; }
    } guard{count};
    co_await SleepUntil(Never());
  };
  EXPECT_TRUE(group.Spawn(sleeper(ended)));
  EXPECT_TRUE(group.Spawn(sleeper(ended)));
  const auto stop = [](TaskGroup& g) -> Task<> {
    g.Close();
    g.CancelAll();
    co_await g.Wait();
  };
  auto done = asio::co_spawn(io, stop(group), asio::use_future);
  io.run();
  done.get();
  EXPECT_EQ(ended, 2);
  EXPECT_FALSE(group.Spawn(sleeper(ended)));
}

TEST(TaskGroup, CancelsOneTaskAlone) {
  asio::io_context io;
  TaskGroup group(io.get_executor(), [](std::exception_ptr) { ADD_FAILURE(); });
  bool first_ended = false;
  const auto sleeper = [](bool& ended) -> Task<> {
    co_await SleepUntil(Never());
    ended = true;
  };
  bool second_ended = false;
  const auto cancel = group.SpawnCancellable(sleeper(first_ended));
  group.Spawn(sleeper(second_ended));
  asio::post(io, cancel);
  io.run_for(milliseconds(20));
  EXPECT_EQ(group.size(), 1u);
  EXPECT_FALSE(second_ended);
  group.Close();
  group.CancelAll();
  io.restart();
  io.run();
}

Task<Result<int>> ValueAfter(int value, milliseconds time) {
  co_await SleepUntil(After(time));
  if (value == 0) co_return Fail(Errc::kNotFound, "nothing");
  if (value < 0) throw std::runtime_error("broken");
  co_return value;
}

std::vector<Task<Result<int>>> Work(std::initializer_list<std::pair<int, int>> values_and_times) {
  std::vector<Task<Result<int>>> work;
  for (const auto& [value, time] : values_and_times) work.push_back(ValueAfter(value, milliseconds(time)));
  return work;
}

TEST(Gather, GivesEveryResultInItsPlace) {
  asio::io_context io;
  int thrown = 0;
  TaskGroup group(io.get_executor(), [&](std::exception_ptr) { ++thrown; });
  auto future = asio::co_spawn(io, Gather(group, Work({{1, 20}, {2, 1}, {0, 5}, {-1, 1}, {3, 0}})), asio::use_future);
  io.run();
  const auto results = future.get();
  ASSERT_EQ(results.size(), 5u);
  EXPECT_EQ(results[0], Result<int>(1));
  EXPECT_EQ(results[1], Result<int>(2));
  EXPECT_EQ(results[2].error().code, Errc::kNotFound);
  EXPECT_EQ(results[3].error().code, Errc::kUnavailable);
  EXPECT_EQ(results[4], Result<int>(3));
  EXPECT_EQ(thrown, 1);
}

TEST(Gather, LeavesItsTasksWhatTheyNeedWhenItsCallerGoes) {
  asio::io_context io;
  TaskGroup group(io.get_executor(), [](std::exception_ptr) {});
  TaskGroup callers(io.get_executor(), [](std::exception_ptr) {});
  const auto cancel = callers.SpawnCancellable([](TaskGroup& tasks) -> Task<> {
    const auto results = co_await Gather(tasks, Work({{1, 30}, {2, 30}}));
    EXPECT_EQ(results.size(), 2u);
    EXPECT_FALSE(results[0]);
  }(group));
  asio::post(io, [&] { cancel(); });
  io.run();
  EXPECT_EQ(group.size(), 0u);
}

TEST(Gather, EndsAtOnceWithNothingToDo) {
  asio::io_context io;
  TaskGroup group(io.get_executor(), [](std::exception_ptr) {});
  auto nothing = asio::co_spawn(io, Gather(group, Work({})), asio::use_future);
  io.run();
  EXPECT_TRUE(nothing.get().empty());
  group.Close();
  auto closed = asio::co_spawn(io, Gather(group, Work({{1, 0}, {2, 0}})), asio::use_future);
  io.restart();
  io.run();
  EXPECT_EQ(closed.get()[1].error().code, Errc::kUnavailable);
}

// A group on a thread of its own.
class Elsewhere {
 public:
  Elsewhere() : guard_(io_.get_executor()), thread_([this] { io_.run(); }) {}
  ~Elsewhere() {
    asio::co_spawn(io_, Stop(tasks), asio::use_future).get();
    guard_.reset();
    thread_.join();
  }
  std::thread::id thread() const { return thread_.get_id(); }

 private:
  static Task<> Stop(TaskGroup& group) {
    group.Close();
    group.CancelAll();
    co_await group.Wait();
  }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_;

 public:
  std::atomic<int> thrown = 0;
  TaskGroup tasks{io_.get_executor(), [this](std::exception_ptr) { ++thrown; }};

 private:
  std::jthread thread_;  // last: it uses everything above
};

Task<Result<std::thread::id>> ThisThread() { co_return std::this_thread::get_id(); }

TEST(RunIn, RunsThereAndResumesHere) {
  Elsewhere there;
  RunTask([](Elsewhere& other) -> Task<bool> {
    const auto here = std::this_thread::get_id();
    const auto ran = co_await RunIn(other.tasks, ThisThread());
    EXPECT_EQ(ran, Result<std::thread::id>(other.thread()));
    EXPECT_EQ(std::this_thread::get_id(), here);
    co_return true;
  }(there));
}

TEST(RunIn, StaysOnTheExecutorOfTheGroup) {
  asio::io_context io;
  TaskGroup group(io.get_executor(), [](std::exception_ptr) { ADD_FAILURE(); });
  auto future = asio::co_spawn(io, RunIn(group, Seven()), asio::use_future);
  EXPECT_GT(io.run(), 0u);
  EXPECT_EQ(future.get(), Result<int>(7));
}

TEST(RunIn, RefusesWhenTheGroupIsClosedOrTheTaskThrows) {
  Elsewhere there;
  EXPECT_EQ(RunTask(RunIn(there.tasks, ValueAfter(-1, milliseconds(0)))).error().code, Errc::kCancelled);
  EXPECT_EQ(RunTask(RunIn(there.tasks, ValueAfter(0, milliseconds(0)))).error().code, Errc::kNotFound);
  EXPECT_EQ(there.thrown, 1);
  asio::post(there.tasks.executor(), [&] { there.tasks.Close(); });
  EXPECT_EQ(RunTask(RunIn(there.tasks, Seven())).error().code, Errc::kUnavailable);
}

TEST(RunIn, CancelsTheTaskWithItsCaller) {
  Elsewhere there;
  asio::io_context io;
  asio::cancellation_signal signal;
  std::promise<void> begun;
  std::promise<void> ended;
  const auto task = [](std::promise<void>& begin, std::promise<void>& end) -> Task<Result<int>> {
    const struct Ended {
      std::promise<void>& promise;
      ~Ended() { promise.set_value(); }
    } guard{end};
    begin.set_value();
    co_await SleepUntil(Never());
    co_return 1;
  };
  Result<int> result = 0;
  asio::co_spawn(io, RunIn(there.tasks, task(begun, ended)),
                 asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr, Result<int> r) { result = r; }));
  io.poll();
  begun.get_future().wait();
  asio::post(io, [&] { signal.emit(asio::cancellation_type::terminal); });
  io.run();
  EXPECT_EQ(result.error().code, Errc::kCancelled);
  ended.get_future().wait();
}

TEST(Resolver, SharesOneLookupAmongThoseWhoAsk) {
  std::atomic<int> lookups = 0;
  std::promise<void> asked;
  Resolver resolver(
      [&](const std::string&) -> Result<Addresses> {
        ++lookups;
        asked.get_future().wait();
        return Addresses{boost::asio::ip::make_address("192.0.2.1")};
      },
      1);
  asio::io_context io;
  auto first = asio::co_spawn(io, resolver.Resolve("h", Never()), asio::use_future);
  auto second = asio::co_spawn(io, resolver.Resolve("h", Never()), asio::use_future);
  auto another = asio::co_spawn(io, resolver.Resolve("other", Never()), asio::use_future);
  io.poll();
  asked.set_value();
  io.restart();
  io.run();
  EXPECT_EQ(first.get()->size(), 1u);
  EXPECT_EQ(second.get()->size(), 1u);
  EXPECT_EQ(another.get().error().code, Errc::kOverloaded);
  EXPECT_EQ(lookups, 1);
}

Task<int> SevenOr(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
  co_return 7;
}

TEST(Caught, TurnsWhatIsThrownIntoAnErrorButForACancellation) {
  EXPECT_EQ(RunTask(Caught(SevenOr(nullptr))), Result<int>(7));
  const auto broken = RunTask(Caught(SevenOr(std::make_exception_ptr(std::runtime_error("broken")))));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error(), (Error{Errc::kInternal, "broken"}));
  const boost::system::system_error refused(asio::error::connection_refused);
  EXPECT_EQ(RunTask(Caught(SevenOr(std::make_exception_ptr(refused)))).error().code, Errc::kInternal);
  const boost::system::system_error aborted(asio::error::operation_aborted);
  EXPECT_THROW(RunTask(Caught(SevenOr(std::make_exception_ptr(aborted)))), boost::system::system_error);
  EXPECT_TRUE(RunTask(Caught(SleepUntil(After(milliseconds(0))))));
}

TEST(TaskGroup, ReportsWhatATaskThrows) {
  asio::io_context io;
  int reported = 0;
  TaskGroup group(io.get_executor(), [&](std::exception_ptr) { ++reported; });
  group.Spawn([]() -> Task<> {
    throw std::runtime_error("broken");
    co_return;
  }());
  io.run();
  EXPECT_EQ(reported, 1);
}

}  // namespace
}  // namespace lazaret::aio
