#include "clamd/file_pool.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <vector>

namespace lazaret::clamd {
namespace {

namespace asio = boost::asio;

// Runs `task` to its end.
template <class T>
T Await(aio::Task<T> task) {
  asio::io_context io;
  auto result = asio::co_spawn(io, std::move(task), asio::use_future);
  io.run();
  return result.get();
}

// Work that hangs until it is destroyed, and tells when it has begun.
class Hang {
 public:
  ~Hang() { release_.set_value(); }
  auto Work() {
    return [this, released = released_] {
      begun_.release();
      released.wait();
      return 0;
    };
  }
  void WaitUntilBegun() { begun_.acquire(); }

 private:
  std::promise<void> release_;
  const std::shared_future<void> released_ = release_.get_future().share();
  std::counting_semaphore<> begun_{0};
};

constexpr SteadyTime kNever = SteadyTime::max();
const SteadyTime kAtOnce = SteadyTime::min();

TEST(FilePool, GivesWhatTheWorkReturnsOrThrows) {
  FilePool pool({});
  FileShare share = pool.MakeShare();
  EXPECT_EQ(Await(share.Run(kNever, [] { return 7; })), 7);
  EXPECT_THROW((void)Await(share.Run(kNever, []() -> int { throw std::runtime_error("no"); })), std::runtime_error);
}

TEST(FilePool, DoesNotWaitLongerThanAskedNorAtItsEnd) {
  Hang hang;
  FilePool pool({.patience = milliseconds(10)});
  FileShare share = pool.MakeShare();
  const auto result = Await(share.Run(kAtOnce, hang.Work()));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kTimeout);
  pool.Stop();
}

TEST(FilePool, KeepsThreadsForOtherShares) {
  Hang hang;
  FilePool pool({.threads = 3, .threads_of_share = 2, .patience = milliseconds(10)});
  FileShare greedy = pool.MakeShare();
  asio::io_context io;
  for (int i = 0; i < 10; ++i) {
    asio::co_spawn(io, greedy.Run(kNever, hang.Work()), [](std::exception_ptr, const auto&) {});
  }
  io.poll();
  hang.WaitUntilBegun();
  hang.WaitUntilBegun();
  FileShare other = pool.MakeShare();
  EXPECT_EQ(Await(other.Run(kNever, [] { return 7; })), 7);
}

TEST(FilePool, GoesOnWithAShareWhenItsWorkEnds) {
  FilePool pool({.threads = 1, .threads_of_share = 1});
  FileShare share = pool.MakeShare();
  asio::io_context io;
  int sum = 0;
  for (int i = 1; i <= 10; ++i) {
    asio::co_spawn(io, share.Run(kNever, [i] { return i; }), [&](std::exception_ptr, Result<int> n) { sum += *n; });
  }
  io.run();
  EXPECT_EQ(sum, 55);
}

TEST(FilePool, RefusesWhatWouldWaitBehindTooMuch) {
  Hang hang;
  FilePool pool({.threads = 1, .threads_of_share = 1, .most_waiting = 2, .patience = milliseconds(10)});
  FileShare share = pool.MakeShare();
  asio::io_context io;
  asio::co_spawn(io, share.Run(kNever, hang.Work()), [](std::exception_ptr, const auto&) {});
  io.poll();
  hang.WaitUntilBegun();
  const auto wait = [&] { asio::co_spawn(io, share.Run(kNever, hang.Work()), [](std::exception_ptr, const auto&) {}); };
  wait();
  io.poll();
  // Just under the limit; and whoever leaves leaves no work behind.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Await(share.Run(kAtOnce, [] { return 0; })).error().code, Errc::kTimeout);
  wait();
  io.poll();
  EXPECT_EQ(Await(share.Run(kAtOnce, [] { return 0; })).error().code, Errc::kOverloaded);
}

TEST(FilePool, EndsWhatIsKeptOnAThreadOfItsOwn) {
  struct Kept {
    std::promise<std::thread::id>* ended;
    explicit Kept(std::promise<std::thread::id>& promise) : ended(&promise) {}
    Kept(Kept&& other) noexcept : ended(std::exchange(other.ended, nullptr)) {}
    ~Kept() {
      if (ended != nullptr) ended->set_value(std::this_thread::get_id());
    }
  };
  std::promise<std::thread::id> ended;
  FilePool pool({});
  pool.MakeShare().Keep(Kept(ended)).reset();
  EXPECT_NE(ended.get_future().get(), std::this_thread::get_id());
}

TEST(FilePool, KeepsNoMoreWhenTooMuchWaitsForItsEnd) {
  Hang hang;
  FilePool pool(
      {.threads = 2, .threads_of_share = 1, .most_ends = 3, .most_ends_of_share = 2, .patience = milliseconds(10)});
  asio::io_context io;
  std::vector<FileShare> shares = {pool.MakeShare(), pool.MakeShare(), pool.MakeShare()};
  for (int i = 0; i < 2; ++i) {
    asio::co_spawn(io, shares[i].Run(kNever, hang.Work()), [](std::exception_ptr, const auto&) {});
    io.poll();
    hang.WaitUntilBegun();
  }
  shares[0].Keep(1).reset();
  EXPECT_TRUE(shares[0].MayKeepMore());
  shares[0].Keep(2).reset();
  EXPECT_FALSE(shares[0].MayKeepMore());
  EXPECT_TRUE(shares[1].MayKeepMore());
  shares[2].Keep(3).reset();
  EXPECT_FALSE(shares[1].MayKeepMore());
}

}  // namespace
}  // namespace lazaret::clamd
