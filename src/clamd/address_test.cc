#include "clamd/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

namespace lazaret::clamd {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ListenerTest : public testing::Test {
 protected:
  ~ListenerTest() override { fs::remove_all(root_); }
  ListenerTest() { fs::create_directories(root_); }
  const fs::path root_ = fs::path(testing::TempDir()) / ("listen" + std::to_string(::getpid()));
  const std::string path_ = (root_ / "s").native();
};

TEST_F(ListenerTest, MakesAndRemovesItsFile) {
  {
    const auto listener = Listener::Open("unix:" + path_, {.mode = 0640, .owner = {}});
    ASSERT_TRUE(listener) << listener.error().what;
    EXPECT_EQ(listener->address(), "unix:" + path_);
    struct stat status{};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0640u);
  }
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(ListenerTest, LeavesASocketAloneOnWhichSomebodyListens) {
  const auto first = Listener::Open("unix:" + path_, {});
  ASSERT_TRUE(first);
  const auto second = Listener::Open("unix:" + path_, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
  EXPECT_THAT(second.error().what, HasSubstr("another server does"));
  EXPECT_TRUE(fs::exists(path_));
}

TEST_F(ListenerTest, ReplacesAStaleSocketButNothingElse) {
  {
    std::optional<Result<Listener>> first = Listener::Open("unix:" + path_, {});
    ASSERT_TRUE(*first);
    fs::rename(path_, path_ + ".kept");  // not found when it is to be removed, as after a crash
  }
  fs::rename(path_ + ".kept", path_);
  ASSERT_TRUE(fs::exists(path_));
  EXPECT_TRUE(Listener::Open("unix:" + path_, {}));

  std::ofstream(path_) << "precious";
  const auto listener = Listener::Open("unix:" + path_, {});
  ASSERT_FALSE(listener);
  EXPECT_THAT(listener.error().what, HasSubstr("no socket"));
  EXPECT_TRUE(fs::is_regular_file(path_));
}

TEST_F(ListenerTest, LeavesAFileThatIsNotItsOwn) {
  {
    const auto first = Listener::Open("unix:" + path_, {});
    ASSERT_TRUE(first);
    fs::rename(path_, path_ + ".moved");
    std::ofstream(path_) << "another";
  }
  EXPECT_TRUE(fs::exists(path_));
}

TEST_F(ListenerTest, ListensOnTcp) {
  const auto four = Listener::Open("tcp:127.0.0.1:0", {});
  ASSERT_TRUE(four) << four.error().what;
  EXPECT_THAT(four->address(), testing::MatchesRegex("tcp:127\\.0\\.0\\.1:[1-9][0-9]*"));
  const auto again = Listener::Open(four->address(), {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::kUnavailable);
  EXPECT_THAT(again.error().what, HasSubstr(four->address()));
}

TEST_F(ListenerTest, RefusesWhatIsNoAddress) {
  for (const std::string text :
       {"", "/a", "unix:", "unix:a", "tcp:", "tcp:1", "tcp:localhost:1", "tcp:127.0.0.1:", "tcp:127.0.0.1:65536",
        "tcp:127.0.0.1:x", "tcp:::1:80", "tcp:[::1]", "udp:127.0.0.1:1"}) {
    const auto listener = Listener::Open(text, {});
    ASSERT_FALSE(listener) << text;
    EXPECT_EQ(listener.error().code, Errc::kMalformed) << text;
  }
  EXPECT_FALSE(Listener::Open("unix:/" + std::string(107, 'x'), {}));
  EXPECT_FALSE(Listener::Open("unix:" + path_, {.owner = "nobody-of-that-name"}));
  EXPECT_FALSE(Listener::Open("unix:" + path_, {.owner = ":nogroup-of-that-name"}));
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_FALSE(Listener::Open("unix:" + (root_ / "none" / "s").native(), {}));
}

}  // namespace
}  // namespace lazaret::clamd
