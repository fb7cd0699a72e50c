#include "net/poller.h"

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/seqpacket.h"
#include "net/sample_connection.h"

namespace lazaret::net {
namespace {

namespace asio = boost::asio;

// A socket that is polled, and its other end.
struct Pair {
  std::unique_ptr<PolledSocket> server;
  UniqueFd client;

  void Say(std::string_view text) const {
    EXPECT_EQ(::send(client.Get(), text.data(), text.size(), MSG_NOSIGNAL), std::ssize(text));
  }
};

// Waits end only while the tests let the thread go on.
class PollerTest : public testing::TestWithParam<int> {
 protected:
  Pair Connect() {
    auto [server, client] = SampleConnection(io_, GetParam());
    return {std::make_unique<PolledSocket>(std::move(server), poller_), std::move(client)};
  }
  // Until nothing moves any more; what was sent over loopback has arrived by then.
  void Go() {
    do {
      io_.restart();
    } while (io_.poll() > 0);
  }
  static std::string Receive(PolledSocket& socket, std::size_t most = 100) {
    std::string into(most, '\0');
    const auto received = socket.ReceiveNow(into);
    if (!received) return "nothing";
    if (!*received) return received->error().what;
    into.resize(**received);
    return into;
  }
  std::future<bool> Wait(PolledSocket& socket) { return asio::co_spawn(io_, socket.Event(), asio::use_future); }
  // Waits for what the other end has done.
  void Await(PolledSocket& socket) {
    auto wait = Wait(socket);
    Go();
    ASSERT_TRUE(IsOver(wait));
    EXPECT_TRUE(wait.get());
  }
  static bool IsOver(const std::future<bool>& wait) { return wait.wait_for(seconds(0)) == std::future_status::ready; }

  asio::io_context io_;
  Poller poller_{io_};
};

INSTANTIATE_TEST_SUITE_P(Socket, PollerTest, testing::Values(AF_INET, AF_UNIX),
                         [](const auto& tested) { return tested.param == AF_INET ? "Tcp" : "Unix"; });

TEST_P(PollerTest, TellsOfWhatComes) {
  const Pair pair = Connect();
  auto wait = Wait(*pair.server);
  Go();
  EXPECT_FALSE(IsOver(wait));
  EXPECT_FALSE(pair.server->has_input());
  pair.Say("one");
  Go();
  ASSERT_TRUE(IsOver(wait));
  EXPECT_TRUE(wait.get());
  EXPECT_TRUE(pair.server->has_input());
  EXPECT_EQ(Receive(*pair.server), "one");
  EXPECT_EQ(Receive(*pair.server), "nothing");
  EXPECT_FALSE(pair.server->has_input());

  wait = Wait(*pair.server);
  Go();
  EXPECT_FALSE(IsOver(wait));
  pair.Say("two");
  Go();
  EXPECT_TRUE(IsOver(wait));
  EXPECT_EQ(Receive(*pair.server), "two");
}

TEST_P(PollerTest, KnowsThatThereMayBeMoreWhereTheBufferWasFilled) {
  const Pair pair = Connect();
  pair.Say("abcdef");
  Await(*pair.server);
  EXPECT_EQ(Receive(*pair.server, 3), "abc");
  EXPECT_TRUE(pair.server->has_input());
  EXPECT_EQ(Receive(*pair.server, 3), "def");
  EXPECT_TRUE(pair.server->has_input());
  EXPECT_EQ(Receive(*pair.server, 3), "nothing");
  EXPECT_FALSE(pair.server->has_input());
}

TEST_P(PollerTest, KnowsFromAReadThatFilledNothingThatThereIsNoMore) {
  const Pair pair = Connect();
  pair.Say("ab");
  Await(*pair.server);
  EXPECT_EQ(Receive(*pair.server), "ab");
  EXPECT_EQ(pair.server->has_input(), GetParam() == AF_UNIX) << "a Unix socket stops elsewhere, too";
}

TEST_P(PollerTest, FindsTheEndBehindTheLastBytes) {
  Pair pair = Connect();
  pair.Say("last");
  pair.client.Reset();
  Await(*pair.server);
  EXPECT_TRUE(pair.server->is_hung_up());
  EXPECT_EQ(Receive(*pair.server), "last");
  EXPECT_TRUE(pair.server->has_input()) << "nothing tells of the end again";
  EXPECT_EQ(Receive(*pair.server), "the client closed the connection");
}

TEST_P(PollerTest, TellsOfAnEndThatComesLater) {
  const Pair pair = Connect();
  pair.Say("last");
  Await(*pair.server);
  EXPECT_EQ(Receive(*pair.server), "last");
  EXPECT_FALSE(pair.server->is_hung_up());
  auto wait = Wait(*pair.server);
  ::shutdown(pair.client.Get(), SHUT_WR);
  Go();
  EXPECT_TRUE(IsOver(wait));
  EXPECT_TRUE(pair.server->is_hung_up());
  EXPECT_TRUE(pair.server->has_input());
}

TEST_P(PollerTest, TellsOfALostConnection) {
  Pair pair = Connect();
  EXPECT_EQ(pair.server->SendNow("unread"), 6u);
  auto wait = Wait(*pair.server);
  pair.client.Reset();
  Go();
  EXPECT_TRUE(IsOver(wait));
  EXPECT_TRUE(pair.server->is_hung_up());
  EXPECT_EQ(Receive(*pair.server), "the connection was lost");
}

TEST_P(PollerTest, ReceivesWhatLiesBehindDescriptors) {
  if (GetParam() != AF_UNIX) GTEST_SKIP() << "only Unix sockets carry descriptors";
  const Pair pair = Connect();
  const int sent = pair.client.Get();
  ASSERT_TRUE(SendPacket(pair.client.Get(), AsBytes("with"), std::span(&sent, 1)));
  pair.Say("behind");
  Await(*pair.server);
  EXPECT_EQ(Receive(*pair.server), "with");
  EXPECT_TRUE(pair.server->has_input());
  EXPECT_EQ(Receive(*pair.server), "behind");
}

TEST_P(PollerTest, SendsMoreThanASocketTakesAtOnce) {
  const Pair pair = Connect();
  const std::string all(16 * 1024 * 1024, 'a');
  auto sent = asio::co_spawn(io_, pair.server->Send(all), asio::use_future);
  Go();
  EXPECT_FALSE(IsOver(sent));
  std::size_t received = 0;
  std::string piece(1024 * 1024, '\0');
  while (!IsOver(sent) || received < all.size()) {
    const ssize_t n = ::recv(pair.client.Get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (n > 0) received += static_cast<std::size_t>(n);
    Go();
  }
  EXPECT_TRUE(sent.get());
  EXPECT_EQ(received, all.size());
  EXPECT_EQ(::recv(pair.client.Get(), piece.data(), piece.size(), MSG_DONTWAIT), -1);
  pair.Say("next");
  Await(*pair.server);
  EXPECT_EQ(Receive(*pair.server), "next");
}

TEST_P(PollerTest, EndsSendingWhenTheClientGoesOrTheWaitIsCancelled) {
  const std::string all(16 * 1024 * 1024, 'a');
  for (const bool leaves : {true, false}) {
    Pair pair = Connect();
    auto sent = asio::co_spawn(io_, pair.server->Send(all), asio::use_future);
    Go();
    EXPECT_FALSE(IsOver(sent));
    if (leaves) {
      pair.client.Reset();
    } else {
      pair.server->CancelWait();
    }
    Go();
    ASSERT_TRUE(IsOver(sent));
    EXPECT_FALSE(sent.get());
  }
}

TEST_P(PollerTest, EndsAWaitLaterWhenItIsCancelled) {
  const Pair pair = Connect();
  pair.server->CancelWait();
  auto wait = Wait(*pair.server);
  Go();
  pair.server->CancelWait();
  EXPECT_FALSE(IsOver(wait));
  pair.server->CancelWait();
  Go();
  ASSERT_TRUE(IsOver(wait));
  EXPECT_FALSE(wait.get());
  wait = Wait(*pair.server);
  pair.Say("a");
  Go();
  EXPECT_TRUE(IsOver(wait));
}

TEST_P(PollerTest, EndsAWaitWhoseTaskIsCancelled) {
  const Pair pair = Connect();
  asio::cancellation_signal signal;
  int ended = 0;
  asio::co_spawn(io_, pair.server->Event(),
                 asio::bind_cancellation_slot(signal.slot(), [&](const std::exception_ptr&, bool) { ++ended; }));
  Go();
  EXPECT_EQ(ended, 0);
  signal.emit(asio::cancellation_type::terminal);
  EXPECT_EQ(ended, 0);
  Go();
  EXPECT_EQ(ended, 1);
}

TEST_P(PollerTest, TellsNobodyWhoHasGoneMeanwhile) {
  Pair first = Connect();
  Pair second = Connect();
  int told = 0;
  const auto take_the_other = [&](PolledSocket& own, Pair& other) -> aio::Task<> {
    if (!co_await own.Event()) co_return;
    ++told;
    other.server.reset();
  };
  // The wait of the one that goes is given up with it: its task must not touch it again.
  asio::co_spawn(io_, take_the_other(*first.server, second), asio::detached);
  Go();
  first.Say("a");
  second.Say("b");
  Go();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(second.server, nullptr);
}

TEST_P(PollerTest, LeavesTimersTheirTurnWhileSocketsNeverRest) {
  const Pair pair = Connect();
  bool over = false;
  asio::co_spawn(
      io_,
      [&]() -> aio::Task<> {
        while (!over && co_await pair.server->Event()) {
          (void)Receive(*pair.server);
          pair.Say("again");
        }
      },
      asio::detached);
  asio::steady_timer timer(io_, milliseconds(5));
  timer.async_wait([&](const boost::system::error_code&) { over = true; });
  pair.Say("first");
  // Whoever drains all events before it goes on never comes back from here.
  io_.restart();
  while (!over) io_.run_one();
  pair.server->CancelWait();
  Go();
}

TEST_P(PollerTest, KeepsTheThreadRunningWhileSomebodyWaits) {
  const Pair pair = Connect();
  io_.restart();
  io_.run();
  for (const bool cancel : {true, false}) {
    auto wait = Wait(*pair.server);
    Go();
    EXPECT_FALSE(io_.stopped());
    if (cancel) {
      pair.server->CancelWait();
    } else {
      pair.Say("a");
    }
    io_.restart();
    io_.run();
    EXPECT_EQ(wait.get(), !cancel);
  }
}

TEST_P(PollerTest, FailsOnAClosedSocket) {
  PolledSocket socket(Socket(io_), poller_);
  EXPECT_FALSE(socket.is_open());
  EXPECT_EQ(Receive(socket), "the connection was lost");
  EXPECT_EQ(socket.SendNow("a"), 0u);
  auto wait = Wait(socket);
  Go();
  ASSERT_TRUE(IsOver(wait));
  EXPECT_FALSE(wait.get());
}

}  // namespace
}  // namespace lazaret::net
