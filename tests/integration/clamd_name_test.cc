// A clamd server that is named: what its name leads to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "integration/pool_runner.h"
#include "integration/scripted_clamd.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

constexpr std::string_view kName = "clamd.example";

clamav::ClamdPoolSettings PoolOf(std::uint16_t port) {
  return {.addresses = {{.path = {}, .host = std::string(kName), .port = port}},
          .server = {.connections = 2,
                     .max_file_size = 64 << 10,
                     .connect_timeout = seconds(5),
                     .answer_timeout = seconds(5),
                     .check_interval = milliseconds(100),
                     .require_alerts = false},
          .attempts = 3};
}

aio::Addresses Loopback(const std::vector<unsigned>& last_numbers) {
  aio::Addresses addresses;
  for (const unsigned number : last_numbers) {
    addresses.push_back(boost::asio::ip::make_address("127.0.0." + std::to_string(number)));
  }
  return addresses;
}

// What the name leads to, which may change.
class Names {
 public:
  explicit Names(aio::Addresses addresses) : state_(std::make_shared<State>()) { Set(std::move(addresses)); }
  void Set(Result<aio::Addresses> addresses) {
    std::lock_guard lock(state_->mutex);
    state_->addresses = std::move(addresses);
  }
  aio::Lookup Lookup() const {
    return [state = state_](const std::string& host) -> Result<aio::Addresses> {
      EXPECT_EQ(host, kName);
      std::lock_guard lock(state->mutex);
      return state->addresses;
    };
  }

 private:
  struct State {
    std::mutex mutex;
    Result<aio::Addresses> addresses;
  };
  std::shared_ptr<State> state_;
};

std::string Scripted(int number) { return std::string(kScripted) + std::to_string(number); }

TEST(NamedClamd, ContentsGoOnlyToTheServerThatWasExamined) {
  auto examined = std::make_unique<ScriptedClamd>("127.0.0.1", 0, Script{.reply = "{}: Test.First FOUND\0"s});
  ScriptedClamd blind("127.0.0.2", examined->address().port, {.reply = "{}: OK\0"s, .finds_nothing = true});
  const Names names(Loopback({1, 2}));
  auto settings = PoolOf(examined->address().port);
  settings.server.check_interval = seconds(60);
  PoolRunner runner(settings, names.Lookup());
  ASSERT_TRUE(runner.BecomesReady());
  const auto found = runner.Scan(Scripted(1));
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_THAT(found->signatures(), testing::ElementsAre("Test.First"));
  examined.reset();
  const auto lost = runner.Scan(Scripted(2), seconds(5));
  ASSERT_FALSE(lost) << "by a server that finds nothing: " << ToString(lost->kind());
  EXPECT_EQ(lost.error().code, Errc::kUnavailable);
  EXPECT_EQ(blind.scripted_scans(), 0);
}

TEST(NamedClamd, MovesToAnotherOneWhenThatHasBeenExamined) {
  auto first = std::make_unique<ScriptedClamd>("127.0.0.1", 0, Script{.reply = "{}: Test.First FOUND\0"s});
  ScriptedClamd second("127.0.0.2", first->address().port, {.reply = "{}: Test.Second FOUND\0"s});
  Names names(Loopback({1}));
  PoolRunner runner(PoolOf(second.address().port), names.Lookup());
  ASSERT_TRUE(runner.BecomesReady());
  names.Set(Loopback({2}));
  first.reset();
  EXPECT_TRUE(Eventually([&] {
    const auto verdict = runner.Scan(Scripted(1));
    return verdict && verdict->signatures() == std::vector<std::string>{"Test.Second"};
  }));
}

TEST(NamedClamd, PassesOverAddressesThatWillNotDo) {
  ScriptedClamd good("127.0.0.3", 0, {.reply = "{}: Test.Good FOUND\0"s});
  ScriptedClamd blind("127.0.0.1", good.address().port, {.reply = "{}: OK\0"s, .finds_nothing = true});
  const Names names(Loopback({1, 2, 3}));
  PoolRunner runner(PoolOf(good.address().port), names.Lookup());
  ASSERT_TRUE(runner.BecomesReady());
  const auto found = runner.Scan(Scripted(1));
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_THAT(found->signatures(), testing::ElementsAre("Test.Good"));
}

TEST(NamedClamd, TriesABoundedNumberOfAddresses) {
  ScriptedClamd good("127.0.0.9", 0, {.reply = "{}: Test.Good FOUND\0"s});
  {
    const Names names(Loopback({2, 3, 4, 5, 6, 7, 8, 9}));
    PoolRunner runner(PoolOf(good.address().port), names.Lookup());
    EXPECT_TRUE(runner.BecomesReady()) << "the eighth";
  }
  const Names names(Loopback({1, 2, 3, 4, 5, 6, 7, 8, 9}));
  PoolRunner runner(PoolOf(good.address().port), names.Lookup());
  EXPECT_TRUE(Eventually([&] { return runner.pool().NotReadyReason().find("refused") != std::string::npos; }));
  EXPECT_EQ(runner.pool().Current(), nullptr) << "the ninth";
}

TEST(NamedClamd, StaysWithItsServerWhileNoNameServerAnswers) {
  ScriptedClamd clamd("127.0.0.1", 0, {.reply = "{}: Test.Good FOUND\0"s, .first = {"garbage\0"s}});
  Names names(Loopback({1}));
  PoolRunner runner(PoolOf(clamd.address().port), names.Lookup());
  ASSERT_TRUE(runner.BecomesReady());
  names.Set(Fail(Errc::kUnavailable, "no name server"));
  const auto found = runner.Scan(Scripted(1));
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_THAT(found->signatures(), testing::ElementsAre("Test.Good")) << found->detail();
}

// A lookup that does not end before the test does.
class HungLookup {
 public:
  HungLookup() : ended_(end_.get_future().share()) {}
  ~HungLookup() { end_.set_value(); }
  aio::Lookup Lookup() const {
    return [ended = ended_](const std::string&) -> Result<aio::Addresses> {
      ended.wait();
      return Loopback({1});
    };
  }

 private:
  std::promise<void> end_;
  std::shared_future<void> ended_;
};

TEST(NamedClamd, LookingItUpIsBounded) {
  const HungLookup hung;
  auto settings = PoolOf(3310);
  settings.server.connect_timeout = milliseconds(50);
  PoolRunner runner(settings, hung.Lookup());
  EXPECT_TRUE(Eventually([&] { return runner.pool().NotReadyReason().find("too long") != std::string::npos; }))
      << runner.pool().NotReadyReason();
}

TEST(NamedClamd, LookingItUpHoldsUpNoEnd) {
  const HungLookup hung;
  PoolRunner runner(PoolOf(3310), hung.Lookup());
}

}  // namespace
}  // namespace lazaret::tests
