// How often a request has to go to Redis, counted by Redis.
#include <iostream>

#include "chaos/fleet_fixture.h"
#include "chaos/redis_monitor.h"

namespace lazaret::tests {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr unsigned kFiles = 20;

class RoundTrips : public FleetTest {
 protected:
  // Every node is known to Redis by its own name.
  std::string UrlAs(std::string_view name) const { return redis_.Url() + "?client_name=" + std::string(name); }

  // Commands of this node for the contents of EicarWithPrefix.
  std::size_t CountCommands(const RedisMonitor& monitor, std::string_view name) const {
    std::size_t count = 0;
    for (unsigned i = 0; i < kFiles; ++i) {
      const auto commands = monitor.Commands(name, IdOf(EicarWithPrefix(i)));
      count += commands.size();
      if (i > 0) continue;
      for (const std::string& command : commands) std::cout << name << ": " << command.substr(0, 150) << "\n";
    }
    return count;
  }

  RedisProcess redis_{{.arguments = {"--appendonly", "yes"}}};
};

TEST_F(RoundTrips, HitInRedisIsOneAndAHotHitNone) {
  FleetNode& one = Start(UrlAs("one"), "all");
  FleetNode& other = Start(UrlAs("other"), "all");
  for (unsigned i = 0; i < kFiles; ++i) {
    ASSERT_THAT(Post(one.port(), "/v1/scan", EicarWithPrefix(i)), HasVerdict("infected"));
  }
  // The answer comes before the verdict is stored (docs/decisions/0006).
  for (unsigned i = 0; i < kFiles; ++i) {
    ASSERT_TRUE(Eventually(
        [&] { return redis_.Ask({"EXISTS", "lz:{" + IdOf(EicarWithPrefix(i)) + "}:verdict"}).integer() == 1; }));
  }
  {
    const RedisMonitor monitor(redis_);
    for (unsigned i = 0; i < kFiles; ++i) {
      EXPECT_THAT(Post(other.port(), "/v1/scan", EicarWithPrefix(i)), HasVerdict("infected"));
    }
    EXPECT_EQ(CountCommands(monitor, "other"), kFiles);
  }
  const RedisMonitor monitor(redis_);
  for (unsigned i = 0; i < kFiles; ++i) {
    EXPECT_THAT(Post(one.port(), "/v1/scan", EicarWithPrefix(i)), HasVerdict("infected"));
    EXPECT_THAT(Post(other.port(), "/v1/scan", EicarWithPrefix(i)), HasVerdict("infected"));
  }
  EXPECT_EQ(CountCommands(monitor, "one") + CountCommands(monitor, "other"), 0);
}

TEST_F(RoundTrips, SubmitIsTwoAtMost) {
  FleetNode& worker = Start(UrlAs("worker"), "worker");
  FleetNode& api = Start(UrlAs("api"), "api");
  // The scripts are known to Redis after their first use.
  ASSERT_THAT(Submit(api.port(), "something else"), HasStatus(202));
  ASSERT_EQ(VerdictOf(api, "something else"), "clean");
  // Otherwise an announcement that a job is finished might make the API node look it up.
  ASSERT_TRUE(Halt(worker.process().pid()));
  const RedisMonitor monitor(redis_);
  for (unsigned i = 0; i < kFiles; ++i) {
    ASSERT_THAT(Submit(api.port(), EicarWithPrefix(i)), HasStatus(202));
  }
  const std::size_t commands = CountCommands(monitor, "api");
  EXPECT_GE(commands, kFiles);
  EXPECT_LE(commands, 2 * kFiles);
  worker.process().Signal(SIGCONT);
  for (unsigned i = 0; i < kFiles; ++i) EXPECT_EQ(VerdictOf(api, EicarWithPrefix(i)), "infected");
}

}  // namespace
}  // namespace lazaret::tests
