// A connection over a stream that does what the test says.
#include "redis/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <cstring>
#include <future>

#include "aio/deadline.h"

namespace lazaret::redis {
namespace {

namespace asio = boost::asio;
using testing::ElementsAre;

// What the test and its stream share.
struct Script {
  explicit Script(asio::io_context& io) : changed(io, SteadyTime::max()) {}

  std::string written;  // by the connection
  std::size_t writes = 0;
  std::string input;         // for the connection
  std::size_t piece = 1000;  // bytes at most in one read
  bool stuck = false;        // writes do not come to an end
  bool closed = false;
  asio::steady_timer changed;  // cancelled when something above has

  void Say(std::string_view text) {
    input += text;
    changed.cancel();
  }
};

class ScriptedStream final : public ByteStream {
 public:
  explicit ScriptedStream(Script& script) : script_(script) {}

  aio::Task<Result<std::size_t>> ReadSome(asio::mutable_buffer into) override {
    while (script_.input.empty() && !script_.closed) co_await Changed();
    if (script_.closed) co_return Fail(Errc::kDisconnected, "closed");
    const std::size_t count = std::min({script_.input.size(), script_.piece, into.size()});
    std::memcpy(into.data(), script_.input.data(), count);
    script_.input.erase(0, count);
    co_return count;
  }
  aio::Task<Result<void>> Write(std::span<const asio::const_buffer> buffers) override {
    while (script_.stuck && !script_.closed) co_await Changed();
    if (script_.closed) co_return Fail(Errc::kDisconnected, "closed");
    ++script_.writes;
    for (const auto& buffer : buffers) script_.written.append(static_cast<const char*>(buffer.data()), buffer.size());
    co_return Result<void>{};
  }
  void Close() override {
    script_.closed = true;
    script_.changed.cancel();
  }

 private:
  aio::Task<> Changed() { co_await script_.changed.async_wait(asio::as_tuple(asio::use_awaitable)); }

  Script& script_;
};

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() : script_(io_), tasks_(io_.get_executor(), [](std::exception_ptr) { ADD_FAILURE(); }) { Open(); }
  ~ConnectionTest() override {
    connection_->Close({Errc::kUnavailable, "the test is over"});
    RunAll();
  }
  void Open(ConnectionLimits limits = {}) {
    connection_ = Connection::Start(std::make_unique<ScriptedStream>(script_), tasks_, limits, counters_);
  }
  std::future<Result<std::vector<Reply>>> Call(std::vector<Command> commands, SteadyTime deadline = SteadyTime::max()) {
    const auto call = [](std::shared_ptr<Connection> connection, std::vector<Command> all,
                         SteadyTime until) -> aio::Task<Result<std::vector<Reply>>> {
      co_return co_await connection->CallAll(all, until);
    };
    return asio::co_spawn(io_, call(connection_, std::move(commands), deadline), asio::use_future);
  }
  std::future<Result<std::vector<Reply>>> Echo(std::string_view text) { return Call({Command{"ECHO", text}}); }
  // Until nothing is left to do at once.
  void RunAll() {
    io_.restart();
    while (io_.poll() > 0) {
    }
  }
  // Until the time has come for the next thing.
  void RunUntil(const std::function<bool()>& condition) {
    io_.restart();
    while (!condition()) io_.run_one();
  }

  asio::io_context io_;
  Script script_;
  Counters counters_;
  aio::TaskGroup tasks_;
  std::shared_ptr<Connection> connection_;
};

bool IsReady(const auto& future) { return future.wait_for(seconds(0)) == std::future_status::ready; }

TEST_F(ConnectionTest, WritesTogetherWhatIsCalledTogether) {
  std::vector<std::future<Result<std::vector<Reply>>>> calls;
  for (int i = 0; i < 1000; ++i) calls.push_back(Echo(std::to_string(i)));
  RunAll();
  EXPECT_LE(script_.writes, 2u);
  for (int i = 0; i < 1000; ++i)
    script_.Say("$" + std::to_string(std::to_string(i).size()) + "\r\n" + std::to_string(i) + "\r\n");
  RunAll();
  for (int i = 0; i < 1000; ++i) EXPECT_THAT(*calls[i].get(), ElementsAre(Reply::Bulk(std::to_string(i))));
}

TEST_F(ConnectionTest, UnderstandsRepliesInPiecesOfEverySize) {
  const std::string replies = "+a\r\n$5\r\nb\r\n\r\n\r\n*2\r\n:1\r\n$-1\r\n-ERR c\r\n";
  for (script_.piece = 1; script_.piece <= replies.size(); ++script_.piece) {
    auto first = Call({{"A"}});
    auto second = Call({{"B"}, {"C"}});
    auto third = Call({{"D"}});
    RunAll();
    script_.Say(replies);
    RunAll();
    EXPECT_THAT(*first.get(), ElementsAre(Reply::Status("a")));
    EXPECT_THAT(*second.get(), ElementsAre(Reply::Bulk("b\r\n\r\n"), Reply::Array({Reply::Integer(1), Reply()})));
    EXPECT_THAT(*third.get(), ElementsAre(Reply::MakeError("ERR c")));
  }
}

TEST_F(ConnectionTest, KeepsThePlaceOfWhatTimedOut) {
  auto late = Call({{"A"}}, std::chrono::steady_clock::now());
  auto other = Call({{"B"}});
  RunUntil([&] { return IsReady(late); });
  EXPECT_EQ(late.get().error().code, Errc::kTimeout);
  script_.Say("+a\r\n+b\r\n");
  RunAll();
  EXPECT_THAT(*other.get(), ElementsAre(Reply::Status("b")));
  EXPECT_EQ(counters_.discarded, 1u);
}

TEST_F(ConnectionTest, GivesUpWhenTheOldestCommandIsOverdue) {
  connection_->Close({Errc::kUnavailable, "not this one"});
  RunAll();
  script_.closed = false;
  Open({.overdue = milliseconds(10)});
  auto late = Call({{"A"}}, std::chrono::steady_clock::now() + milliseconds(1));
  auto other = Call({{"B"}});
  RunUntil([&] { return IsReady(late) && IsReady(other); });
  EXPECT_EQ(late.get().error().code, Errc::kTimeout);
  EXPECT_EQ(other.get().error().code, Errc::kDisconnected);
  EXPECT_FALSE(connection_->is_open());
}

TEST_F(ConnectionTest, StaysWhileTheOldestCommandHasTime) {
  connection_->Close({Errc::kUnavailable, "not this one"});
  RunAll();
  script_.closed = false;
  Open({.overdue = milliseconds(1)});
  auto slow = Call({{"A"}});
  io_.restart();
  io_.run_for(milliseconds(20));
  EXPECT_TRUE(connection_->is_open());
  script_.Say("+a\r\n");
  RunAll();
  EXPECT_TRUE(slow.get());
}

TEST_F(ConnectionTest, TellsWhatWasNotSentWhenItBreaks) {
  auto sent = Echo("a");
  RunAll();
  script_.stuck = true;
  auto perhaps = Echo("b");
  RunAll();
  auto unsent = Echo("c");
  RunAll();
  connection_->Close({Errc::kDisconnected, "broken"});
  RunAll();
  EXPECT_EQ(sent.get().error().code, Errc::kDisconnected);
  EXPECT_EQ(perhaps.get().error().code, Errc::kDisconnected);
  EXPECT_EQ(unsent.get().error().code, Errc::kUnavailable);
  auto after = Echo("d");
  RunAll();
  EXPECT_EQ(after.get().error(), (Error{Errc::kUnavailable, "broken"}));
}

TEST_F(ConnectionTest, ClosesWhenTheServerTalksNonsense) {
  auto call = Echo("a");
  RunAll();
  script_.Say("HTTP/1.1 400 Bad Request\r\n\r\n");
  RunAll();
  EXPECT_EQ(call.get().error().code, Errc::kMalformed);
  EXPECT_FALSE(connection_->is_open());
}

TEST_F(ConnectionTest, ClosesOnAReplyThatNobodyAskedFor) {
  script_.Say("+surprise\r\n");
  RunAll();
  EXPECT_FALSE(connection_->is_open());
}

TEST_F(ConnectionTest, DrainsBeforeItCloses) {
  auto call = Echo("a");
  RunAll();
  connection_->Drain({Errc::kUnavailable, "moved"});
  auto refused = Echo("b");
  RunAll();
  EXPECT_EQ(refused.get().error(), (Error{Errc::kUnavailable, "moved"}));
  EXPECT_TRUE(connection_->is_open());
  script_.Say("$1\r\na\r\n");
  RunAll();
  EXPECT_TRUE(call.get());
  EXPECT_FALSE(connection_->is_open());
}

TEST_F(ConnectionTest, EndsWithItsTaskGroup) {
  auto call = Echo("a");
  RunAll();
  tasks_.Close();
  tasks_.CancelAll();
  RunAll();
  EXPECT_EQ(call.get().error().code, Errc::kDisconnected);
  EXPECT_EQ(tasks_.size(), 0u);
}

}  // namespace
}  // namespace lazaret::redis
