#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <stdexcept>
#include <thread>

#include "aio/blocking_pool.h"
#include "aio/broadcast.h"
#include "aio/deadline.h"
#include "aio/gather.h"
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
