#include "clamav/signature_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <thread>

#include "aio/deadline.h"

namespace lazaret::clamav {
namespace {

namespace fs = std::filesystem;
namespace asio = boost::asio;

constexpr seconds kPatience{60};

aio::Task<Result<bool>> Change(SignatureWatch& watch) {
  co_await watch.WaitForChange();
  co_return true;
}

class SignatureWatchTest : public testing::Test {
 protected:
  SignatureWatchTest() : root_(fs::path(testing::TempDir()) / ("watch" + std::to_string(::getpid()))) {
    fs::create_directories(directory_);
  }
  ~SignatureWatchTest() override { fs::remove_all(root_); }

  void Write(const fs::path& path, std::string_view text) const { std::ofstream(path) << text; }
  template <class T>
  T Run(aio::Task<T> task) {
    auto future = asio::co_spawn(io_, std::move(task), asio::use_future);
    io_.restart();
    io_.run();
    return future.get();
  }
  // Whether it notices what `act` does; afterwards nothing more is waiting to be noticed.
  bool Notices(SignatureWatch& watch, const std::function<void()>& act) {
    act();
    const bool noticed = NoticesWithin(watch, kPatience);
    while (NoticesWithin(watch, milliseconds(0))) {
    }
    return noticed;
  }
  bool NoticesWithin(SignatureWatch& watch, milliseconds time) {
    return Run(aio::WithDeadline(Change(watch), std::chrono::steady_clock::now() + time, "")).has_value();
  }

  const fs::path root_;
  const fs::path directory_ = root_ / "signatures";
  asio::io_context io_{1};
  Log log_{LogFormat::kText, LogLevel::kError};
};

TEST_F(SignatureWatchTest, NoticesWhatHappensToFiles) {
  SignatureWatch watch(directory_, io_.get_executor(), log_);
  EXPECT_FALSE(NoticesWithin(watch, milliseconds(0)));
  EXPECT_TRUE(Notices(watch, [&] { Write(directory_ / "a.ndb", "one"); }));
  EXPECT_TRUE(Notices(watch, [&] { Write(directory_ / "a.ndb", "two"); })) << "in place";
  EXPECT_TRUE(Notices(watch, [&] { fs::permissions(directory_ / "a.ndb", fs::perms::owner_read); }));
  Write(root_ / "new", "three");
  EXPECT_TRUE(Notices(watch, [&] { fs::rename(root_ / "new", directory_ / "a.ndb"); }));
  EXPECT_TRUE(Notices(watch, [&] { fs::remove(directory_ / "a.ndb"); }));
}

TEST_F(SignatureWatchTest, LeavesReadersAndNeighboursAlone) {
  Write(directory_ / "a.ndb", "one");
  SignatureWatch watch(directory_, io_.get_executor(), log_);
  std::string text;
  std::ifstream(directory_ / "a.ndb") >> text;
  Write(root_ / "neighbour", "x");
  fs::create_hard_link(directory_ / "a.ndb", root_ / "link");
  fs::remove(root_ / "link");
  EXPECT_FALSE(NoticesWithin(watch, milliseconds(0)));
}

TEST_F(SignatureWatchTest, FollowsADirectoryThatIsMadeAgain) {
  SignatureWatch watch(directory_, io_.get_executor(), log_);
  EXPECT_TRUE(Notices(watch, [&] { fs::remove_all(directory_); }));
  EXPECT_TRUE(Notices(watch, [&] { fs::create_directory(directory_); }));
  EXPECT_TRUE(Notices(watch, [&] { Write(directory_ / "a.ndb", "one"); }));
}

TEST_F(SignatureWatchTest, FollowsADirectoryThatIsReplaced) {
  SignatureWatch watch(directory_, io_.get_executor(), log_);
  fs::create_directory(root_ / "other");
  EXPECT_TRUE(Notices(watch, [&] {
    fs::rename(directory_, root_ / "old");
    fs::rename(root_ / "other", directory_);
  }));
  EXPECT_TRUE(Notices(watch, [&] { Write(directory_ / "a.ndb", "one"); }));
  Write(root_ / "old" / "a.ndb", "two");
  EXPECT_FALSE(NoticesWithin(watch, milliseconds(0))) << "the old one is nobody's business";
}

TEST_F(SignatureWatchTest, FollowsASymbolicLinkToAnotherDirectory) {
  fs::create_directory(root_ / "one");
  fs::create_directory(root_ / "two");
  fs::create_directory_symlink(root_ / "one", root_ / "link");
  SignatureWatch watch(root_ / "link", io_.get_executor(), log_);
  EXPECT_TRUE(Notices(watch, [&] {
    fs::create_directory_symlink(root_ / "two", root_ / "new");
    fs::rename(root_ / "new", root_ / "link");
  }));
  EXPECT_TRUE(Notices(watch, [&] { Write(root_ / "two" / "a.ndb", "one"); }));
}

TEST_F(SignatureWatchTest, WaitsForADirectoryThatIsNotThereYet) {
  SignatureWatch watch(root_ / "later", io_.get_executor(), log_);
  EXPECT_TRUE(Notices(watch, [&] { fs::create_directory(root_ / "later"); }));
  EXPECT_TRUE(Notices(watch, [&] { Write(root_ / "later" / "a.ndb", "one"); }));
}

TEST_F(SignatureWatchTest, TakesMoreEventsThanTheKernelKeeps) {
  SignatureWatch watch(directory_, io_.get_executor(), log_);
  // Two files in turn, for equal events in a row are one (inotify(7)); the queue holds 16384 by default.
  EXPECT_TRUE(Notices(watch, [&] {
    for (int i = 0; i < 12'000; ++i) Write(directory_ / (i % 2 == 0 ? "a.ndb" : "b.ndb"), "x");
  }));
  EXPECT_TRUE(Notices(watch, [&] { Write(directory_ / "a.ndb", "one"); }));
}

TEST_F(SignatureWatchTest, IsSettledWhenNothingHappensForAWhile) {
  SignatureWatch watch(directory_, io_.get_executor(), log_);
  const auto begin = std::chrono::steady_clock::now();
  std::jthread writer([&](std::stop_token stop) {
    for (int i = 0; !stop.stop_requested(); ++i) Write(directory_ / "a.ndb", std::to_string(i));
  });
  // While somebody writes it never is, so that the deadline ends it.
  Run(watch.WaitUntilSettled(seconds(30), begin + milliseconds(300)));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(300));
  writer.request_stop();
  writer.join();
  Run(watch.WaitUntilSettled(milliseconds(50), begin + kPatience));
  EXPECT_FALSE(NoticesWithin(watch, milliseconds(0))) << "it has taken what there was";
}

}  // namespace
}  // namespace lazaret::clamav
