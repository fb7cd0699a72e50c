// The client against one redis-server.
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <memory>
#include <random>
#include <vector>

#include <fmt/format.h>

#include "integration/redis_fixture.h"
#include "integration/redis_process.h"

namespace lazaret::tests {
namespace {

using redis::Command;
using redis::Reply;
using testing::Each;
using testing::HasSubstr;
using testing::Not;

std::string RandomBytes(std::size_t size) {
  std::mt19937_64 random(size);
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

aio::Task<bool> EchoMany(redis::Client& client, int first, int count) {
  bool all = true;
  for (int i = first; i < first + count; ++i) {
    const std::string text = fmt::format("text {}", i);
    const auto reply = co_await client.Call("", Command{"ECHO", text}, {.deadline = Soon()});
    all = all && reply && reply->text() == text;
  }
  co_return all;
}

TEST(RedisClient, PipelinesTenThousandCommandsOfManyTasks) {
  RedisProcess server;
  RunningClient client(server.Url());
  ASSERT_TRUE(client.Ask("", {"PING"}));
  const std::uint64_t writes = client.counters().writes;
  std::vector<std::future<bool>> tasks;
  for (int i = 0; i < 500; ++i) tasks.push_back(client.io().Spawn(EchoMany(*client, i * 20, 20)));
  for (auto& task : tasks) EXPECT_TRUE(task.get());
  EXPECT_EQ(client.counters().commands, 10'001u);
  EXPECT_EQ(client.counters().round_trips, 10'001u);
  EXPECT_LT(client.counters().writes - writes, 10'000u / 5);
}

TEST(RedisClient, AnswersCallersOnOtherThreads) {
  RedisProcess server;
  RunningClient client(server.Url());
  IoThread others[3];
  std::vector<std::future<bool>> tasks;
  for (int i = 0; i < 90; ++i) tasks.push_back(others[i % 3].Spawn(EchoMany(*client, i * 20, 20)));
  for (auto& task : tasks) EXPECT_TRUE(task.get());
}

class RedisTransport : public testing::TestWithParam<std::string_view> {
 protected:
  RedisTransport() {
    if (GetParam() == "tls") {
      certificates_.emplace(directory_);
      options_ = {.tls = true, .certificates = &*certificates_};
      options_.arguments = {"--tls-cert-file",    certificates_->File("server.crt"),
                            "--tls-key-file",     certificates_->File("server.key"),
                            "--tls-auth-clients", "no"};
    }
  }
  std::string UrlOf(const RedisProcess& server) const {
    if (GetParam() == "unix") return "unix:" + server.socket();
    if (GetParam() == "tcp") return server.Url();
    return server.Url() + "?ca_file=" + certificates_->File("ca.crt");
  }

  TestDirectory directory_;
  std::optional<RedisCertificates> certificates_;
  RedisOptions options_;
};

TEST_P(RedisTransport, CarriesLargeBinaryValues) {
  RedisProcess server(options_);
  RunningClient client(UrlOf(server));
  const std::string value = RandomBytes(16 << 20);
  ASSERT_THAT(client.Ask("key", {"SET", "key", value}), Answers(Reply::Status("OK")));
  const auto reply = client.Ask("key", {"GET", "key"});
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->text() == value);
  const std::string half = value.substr(8 << 20);
  EXPECT_TRUE(client.Ask("key", {"GETRANGE", "key", "8388608", "-1"})->text() == half);
}

TEST_P(RedisTransport, CarriesManyCommandsAtOnce) {
  RedisProcess server(options_);
  RunningClient client(UrlOf(server));
  std::vector<std::future<bool>> tasks;
  for (int i = 0; i < 50; ++i) tasks.push_back(client.io().Spawn(EchoMany(*client, i * 20, 20)));
  for (auto& task : tasks) EXPECT_TRUE(task.get());
}

INSTANTIATE_TEST_SUITE_P(Each, RedisTransport, testing::Values("tcp", "unix", "tls"),
                         [](const auto& test) { return std::string(test.param); });

TEST(RedisClient, GivesUpAtTheDeadlineAndDropsTheLateReply) {
  RedisProcess server;
  RunningClient client(server.Url());
  ASSERT_TRUE(client.Ask("", {"PING"}));
  EXPECT_THAT(client.Ask("", {"DEBUG", "SLEEP", "0.3"}, In(milliseconds(20))), FailsWith(Errc::kTimeout));
  EXPECT_THAT(client.Ask("", {"ECHO", "mine"}), Answers(Reply::Bulk("mine")));
  EXPECT_EQ(client.counters().discarded, 1u);
  EXPECT_EQ(client.counters().timeouts, 1u);
  EXPECT_EQ(client.counters().connects, 1u);
}

TEST(RedisClient, GivesUpAServerThatHasStoppedAnswering) {
  RedisProcess server;
  auto settings = RunningClient::Quick();
  settings.connection.overdue = milliseconds(100);
  RunningClient client(server.Url() + "?connect_timeout=200ms", settings);
  ASSERT_TRUE(client.Ask("", {"PING"}));
  server.Stop();
  EXPECT_THAT(client.Ask("", {"PING"}, In(milliseconds(20))), FailsWith(Errc::kTimeout));
  EXPECT_TRUE(Eventually([&] { return client.counters().lost == 1; }));
  // Known to be down: at once, not at the deadline.
  EXPECT_TRUE(Eventually([&] { return client.counters().connect_failures > 0; }));
  EXPECT_THAT(client.Ask("", {"PING"}, Soon()), FailsWith(Errc::kUnavailable));
  server.Continue();
  EXPECT_TRUE(client.Succeeds("", {"PING"}));
}

TEST(RedisClient, ComesBackAfterTheServerWasKilled) {
  RedisProcess server({.arguments = {"--appendonly", "yes", "--appendfsync", "always"}});
  RunningClient client(server.Url());
  ASSERT_TRUE(client.Ask("key", {"SET", "key", "value"}));
  server.Kill();
  EXPECT_TRUE(Eventually([&] { return !client->is_up(); }));
  EXPECT_TRUE(Eventually([&] {
    const auto refused = client.Ask("key", {"GET", "key"});
    return !refused && refused.error().what.find("Connection refused") != std::string::npos;
  }));
  server.Start();
  EXPECT_TRUE(client.Succeeds("", {"PING"}));
  EXPECT_THAT(client.Ask("key", {"GET", "key"}), Answers(Reply::Bulk("value")));
  EXPECT_EQ(client.counters().lost, 1u);
}

TEST(RedisClient, TellsWhatMayHaveBeenExecuted) {
  RedisProcess server({.arguments = {"--appendonly", "yes", "--appendfsync", "always"}});
  RunningClient client(server.Url());
  ASSERT_TRUE(client.Ask("", {"PING"}));
  server.Stop();
  auto once = client.io().Spawn(client->Call("a", {"INCR", "a"}, {.deadline = Soon()}));
  auto again =
      client.io().Spawn(client->Call("b", {"INCR", "b"}, {.deadline = Soon(), .repeat = redis::Repeat::kAllowed}));
  EXPECT_TRUE(Eventually([&] { return client.counters().commands == 3; }));
  server.Kill();
  EXPECT_THAT(once.get(), FailsWith(Errc::kDisconnected));
  // Repeated while the server was away: that attempt was surely not executed.
  EXPECT_THAT(again.get(), FailsWith(Errc::kUnavailable));
}

TEST(RedisClient, RepeatsWhatMayBeRepeated) {
  RedisProcess server;
  RunningClient client(server.Url());
  const auto id = client.Ask("", {"CLIENT", "ID"});
  ASSERT_TRUE(id);
  auto slow = client.io().Spawn(
      client->Call("", {"BLPOP", "list", "0"}, {.deadline = Soon(), .repeat = redis::Repeat::kAllowed}));
  EXPECT_TRUE(Eventually(
      [&] { return server.Ask({"INFO", "clients"}).text().find("blocked_clients:1") != std::string::npos; }));
  server.Ask({"CLIENT", "KILL", "ID", std::to_string(id->integer())});
  EXPECT_TRUE(Eventually([&] {
    return server.Ask({"INFO", "clients"}).text().find("blocked_clients:1") != std::string::npos &&
           client.counters().connects == 2;
  }));
  server.Ask({"RPUSH", "list", "item"});
  EXPECT_THAT(slow.get(), Answers(Reply::Array({Reply::Bulk("list"), Reply::Bulk("item")})));
  EXPECT_EQ(client.counters().retries, 1u);
}

TEST(RedisClient, FailsAtOnceWhereNobodyListens) {
  auto settings = RunningClient::Quick();
  settings.first_pause = settings.longest_pause = std::chrono::hours(1);
  RunningClient client(fmt::format("redis://127.0.0.1:{}", FreePort()), settings);
  EXPECT_THAT(client.Ask("", {"PING"}), FailsWith(Errc::kUnavailable, "Connection refused"));
  // Who waited for the next attempt would be told at the deadline that there is no connection yet.
  EXPECT_THAT(client.Ask("", {"PING"}, In(milliseconds(100))), FailsWith(Errc::kUnavailable, "Connection refused"));
  EXPECT_FALSE(client->is_up());
}

TEST(RedisClient, RefusesRepliesOverTheLimit) {
  RedisProcess server;
  auto settings = RunningClient::Quick();
  const std::string value(10'000, 'x');
  const std::size_t on_the_wire = std::string("$10000\r\n\r\n").size() + value.size();
  settings.connection.pipeline.max_reply_bytes = on_the_wire;
  RunningClient enough(server.Url(), settings);
  ASSERT_TRUE(enough.Ask("key", {"SET", "key", value}));
  EXPECT_TRUE(enough.Ask("key", {"GET", "key"}));
  settings.connection.pipeline.max_reply_bytes = on_the_wire - 1;
  RunningClient too_small(server.Url(), settings);
  EXPECT_THAT(too_small.Ask("key", {"GET", "key"}), FailsWith(Errc::kTooLarge));
  EXPECT_TRUE(too_small.Succeeds("", {"PING"}));
}

TEST(RedisClient, RefusesWhatIsTooMuchToWaitFor) {
  RedisProcess server;
  auto settings = RunningClient::Quick();
  settings.connection.pipeline.max_commands = 10;
  settings.connection.pipeline.max_bytes = 10'000;
  RunningClient client(server.Url(), settings);
  ASSERT_TRUE(client.Ask("", {"PING"}));
  server.Stop();
  std::vector<std::future<Result<Reply>>> waiting;
  for (int i = 0; i < 10; ++i) waiting.push_back(client.io().Spawn(client->Call("", {"PING"}, {.deadline = Soon()})));
  EXPECT_THAT(client.Ask("", {"PING"}), FailsWith(Errc::kOverloaded));
  server.Continue();
  for (auto& one : waiting) EXPECT_TRUE(one.get());
  // What is larger than the limit goes alone.
  EXPECT_TRUE(client.Ask("", {"ECHO", std::string(20'000, 'x')}));
  server.Stop();
  auto one = client.io().Spawn(client->Call("", {"ECHO", std::string(9'000, 'x')}, {.deadline = Soon()}));
  EXPECT_TRUE(Eventually([&] { return client.counters().commands == 14; }));
  EXPECT_THAT(client.Ask("", {"ECHO", std::string(1'000, 'x')}), FailsWith(Errc::kOverloaded));
  server.Continue();
  EXPECT_TRUE(one.get());
}

TEST(RedisClient, GivesEachCommandOfAGroupItsResult) {
  RedisProcess server;
  RunningClient client(server.Url());
  std::vector<Command> group = {{"SET", "key", "text"}, {"INCR", "key"}, {"GET", "key"}, {"LPUSH", "key", "x"}};
  const auto results = client.Run(client->CallAll("key", group, {.deadline = Soon()}));
  ASSERT_EQ(results.size(), 4u);
  EXPECT_THAT(results[0], Answers(Reply::Status("OK")));
  EXPECT_THAT(results[1], FailsWith(Errc::kInternal, "Redis: ERR value is not an integer"));
  EXPECT_THAT(results[2], Answers(Reply::Bulk("text")));
  EXPECT_THAT(results[3], FailsWith(Errc::kCorrupt, "WRONGTYPE"));
  EXPECT_EQ(client.counters().round_trips, 1u);
  EXPECT_TRUE(client.Run(client->CallAll("key", {}, {.deadline = Soon()})).empty());
}

TEST(RedisClient, RunsScriptsByTheirName) {
  RedisProcess server;
  RunningClient client(server.Url());
  const redis::Script script("return {KEYS[1], ARGV[1], #ARGV}");
  const auto eval = [&] {
    return client.Run(client->Eval(script, {"key"}, {std::string("a\0b", 3), "c"}, {.deadline = Soon()}));
  };
  const Reply expected = Reply::Array({Reply::Bulk("key"), Reply::Bulk(std::string("a\0b", 3)), Reply::Integer(2)});
  EXPECT_THAT(eval(), Answers(expected));
  EXPECT_EQ(client.counters().round_trips, 2u);
  EXPECT_THAT(eval(), Answers(expected));
  EXPECT_EQ(client.counters().round_trips, 3u);
  server.Ask({"SCRIPT", "FLUSH"});
  EXPECT_THAT(eval(), Answers(expected));
  EXPECT_EQ(client.counters().round_trips, 5u);
}

TEST(RedisClient, KeepsBlockingCommandsApart) {
  RedisProcess server;
  auto settings = RunningClient::Quick();
  settings.max_blocking = 2;
  RunningClient client(server.Url(), settings);
  const auto block = [&] { return client.io().Spawn(client->CallBlocking("list", {"BLPOP", "list", "0"}, Soon())); };
  const auto blocked = [&](int count) {
    return Eventually([&] {
      return server.Ask({"INFO", "clients"}).text().find(fmt::format("blocked_clients:{}\r", count)) !=
             std::string::npos;
    });
  };
  auto first = block();
  auto second = block();
  ASSERT_TRUE(blocked(2));
  EXPECT_TRUE(client.Ask("", {"PING"}));
  EXPECT_THAT(block().get(), FailsWith(Errc::kOverloaded));
  ASSERT_TRUE(client.Ask("list", {"RPUSH", "list", "a", "b"}));
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
  // The connections are used again.
  auto third = block();
  ASSERT_TRUE(blocked(1));
  EXPECT_EQ(client.counters().connects, 3u);
  ASSERT_TRUE(client.Ask("list", {"RPUSH", "list", "c"}));
  EXPECT_TRUE(third.get());
  EXPECT_THAT(client.Run(client->CallBlocking("list", {"BLPOP", "list", "0"}, In(milliseconds(20)))),
              FailsWith(Errc::kTimeout));
  EXPECT_TRUE(blocked(0));
}

// Runs `task` on `io` and returns a function that cancels it; `result` is ready when it has ended.
template <class T>
std::function<void()> SpawnCancellable(IoThread& io, aio::Task<T> task, std::promise<bool>& ended) {
  auto signal = std::make_shared<boost::asio::cancellation_signal>();
  boost::asio::co_spawn(io.executor(), std::move(task),
                        boost::asio::bind_cancellation_slot(
                            signal->slot(), [signal, &ended](std::exception_ptr, T) { ended.set_value(true); }));
  return [signal, executor = io.executor()] {
    boost::asio::post(executor, [signal] { signal->emit(boost::asio::cancellation_type::terminal); });
  };
}

TEST(RedisClient, LeavesRepliesInOrderWhenACallerIsCancelled) {
  RedisProcess server;
  RunningClient client(server.Url());
  IoThread other;
  ASSERT_TRUE(client.Ask("", {"PING"}));
  for (IoThread* io : {&client.io(), &other}) {
    server.Stop();
    const std::uint64_t before = client.counters().commands;
    std::promise<bool> ended;
    const auto cancel = SpawnCancellable(*io, client->Call("", {"ECHO", "cancelled"}, {.deadline = Soon()}), ended);
    EXPECT_TRUE(Eventually([&] { return client.counters().commands == before + 1; }));
    auto mine = client.io().Spawn(client->Call("", {"ECHO", "mine"}, {.deadline = Soon()}));
    EXPECT_TRUE(Eventually([&] { return client.counters().commands == before + 2; }));
    cancel();
    EXPECT_TRUE(ended.get_future().get());
    // The client's thread has heard of it, too, once it has done what comes behind.
    EXPECT_TRUE(client.io().Spawn([]() -> aio::Task<bool> { co_return true; }()).get());
    server.Continue();
    EXPECT_THAT(mine.get(), Answers(Reply::Bulk("mine")));
  }
  EXPECT_EQ(client.counters().discarded, 2u);
}

TEST(RedisClient, BreaksOffABlockingCommandWhoseCallerIsCancelled) {
  RedisProcess server;
  RunningClient client(server.Url());
  IoThread other;
  for (IoThread* io : {&client.io(), &other}) {
    const auto blocked = [&](int count) {
      return Eventually([&] {
        return server.Ask({"INFO", "clients"}).text().find(fmt::format("blocked_clients:{}\r", count)) !=
               std::string::npos;
      });
    };
    std::promise<bool> ended;
    const auto cancel = SpawnCancellable(*io, client->CallBlocking("list", {"BLPOP", "list", "0"}, Soon()), ended);
    ASSERT_TRUE(blocked(1));
    cancel();
    EXPECT_TRUE(ended.get_future().get());
    EXPECT_TRUE(blocked(0));
  }
}

TEST(RedisClient, StopsWhileCommandsWait) {
  RedisProcess server;
  RunningClient client(server.Url());
  IoThread other;
  ASSERT_TRUE(client.Ask("", {"PING"}));
  auto blocked = client.io().Spawn(client->CallBlocking("list", {"BLPOP", "list", "0"}, Soon()));
  EXPECT_TRUE(Eventually(
      [&] { return server.Ask({"INFO", "clients"}).text().find("blocked_clients:1") != std::string::npos; }));
  server.Stop();
  auto here = client.io().Spawn(client->Call("", {"PING"}, {.deadline = Soon()}));
  auto there = other.Spawn(client->Call("", {"PING"}, {.deadline = Soon()}));
  EXPECT_TRUE(Eventually([&] { return client.counters().commands == 4; }));
  client.Stop();
  EXPECT_THAT(here.get(), FailsWith(Errc::kDisconnected));
  EXPECT_THAT(there.get(), FailsWith(Errc::kDisconnected));
  EXPECT_THAT(blocked.get(), FailsWith(Errc::kDisconnected));
}

TEST(RedisClient, StopsWhileItCannotConnect) {
  RunningClient client(fmt::format("redis://127.0.0.1:{}", FreePort()));
  EXPECT_FALSE(client.Ask("", {"PING"}));
}

TEST(RedisClient, SaysWhenTheServerIsAReplica) {
  RedisProcess master;
  RedisProcess replica({.arguments = {"--replicaof", "127.0.0.1 " + std::to_string(master.port())}});
  RunningClient client(replica.Url());
  EXPECT_THAT(client.Ask("key", {"SET", "key", "1"}), FailsWith(Errc::kUnavailable, "READONLY"));
  // It looks again where the server is.
  EXPECT_TRUE(Eventually([&] { return client.counters().connects >= 2; }));
}

TEST(RedisClient, TellsAFullMemoryFromOtherErrors) {
  RedisProcess server({.arguments = {"--maxmemory", "1mb", "--maxmemory-policy", "noeviction"}});
  RunningClient client(server.Url());
  EXPECT_THAT(client.Ask("key", {"SET", "key", std::string(2 << 20, 'x')}), FailsWith(Errc::kOverloaded, "OOM"));
}

}  // namespace
}  // namespace lazaret::tests
