// Who is alive, by the word of a real Redis.
#include <algorithm>
#include <string>
#include <vector>

#include "fleet/fleet.h"
#include "integration/fleet_fixture.h"

namespace lazaret::tests {
namespace {

const EngineInfoPtr kOld = EngineBuiltAt(WallTime(seconds(1)), "old");
const EngineInfoPtr kNew = EngineBuiltAt(WallTime(seconds(2)), "new");

class RunningNode {
 public:
  struct Options {
    EngineInfoPtr engine = kOld;
    milliseconds clock_ahead{0};
    fleet::Fleet::Settings settings{.beat = milliseconds(20), .gone_after = milliseconds(1000)};
  };

  RunningNode(const RedisProcess& server, const std::string& id) : RunningNode(server, id, Options()) {}
  RunningNode(const RedisProcess& server, const std::string& id, Options options)
      : clock_(options.clock_ahead),
        client_(server.Url()),
        engine_(options.engine, clock_),
        fleet_(
            *client_, client_.io().executor(), id,
            [this, id] {
              return fleet::NodeRecord{.host = "host of " + id,
                                       .role = "all",
                                       .version = "1",
                                       .takes_jobs = true,
                                       .slots = 2,
                                       .engine = engine_.Current()};
            },
            options.settings, clock_, log_) {
    client_.Run(Call([this] { fleet_.Start(); }));
  }
  ~RunningNode() {
    if (!vanished_) client_.Run(Stop());
  }
  // As kill -9 does: no word of goodbye.
  void Vanish() {
    vanished_ = true;
    client_.Run(StopWithoutRedis());
  }

  std::vector<std::string> Heard() const {
    std::vector<std::string> ids;
    for (const fleet::Node& node : fleet_.Nodes()) ids.push_back(node.id);
    return ids;
  }
  std::string Newest() const {
    const EngineInfoPtr engine = fleet_.Engine();
    return engine == nullptr ? "none" : engine->signature_label;
  }
  std::uint64_t beats() const { return client_.counters().round_trips; }
  fleet::Fleet& operator*() { return fleet_; }
  WaitingEngine& engine() { return engine_; }

 private:
  template <class Function>
  static aio::Task<bool> Call(Function function) {
    function();
    co_return true;
  }
  aio::Task<bool> Stop() {
    co_await fleet_.Stop();
    co_return true;
  }
  aio::Task<bool> StopWithoutRedis() {
    co_await client_->Stop();
    co_await fleet_.Stop();
    co_return true;
  }

  const SkewedClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  RunningClient client_;
  WaitingEngine engine_;
  fleet::Fleet fleet_;
  bool vanished_ = false;
};

class FleetTest : public testing::Test {
 protected:
  RedisProcess server_;
};

TEST_F(FleetTest, NodesHearOfEachOther) {
  RunningNode a(server_, "a");
  RunningNode b(server_, "b", {.engine = nullptr});
  for (const RunningNode* node : {&a, &b}) {
    EXPECT_TRUE(Eventually([&] { return node->Heard() == std::vector<std::string>{"a", "b"}; }));
  }
  const std::vector<fleet::Node> nodes = (*b).Nodes();
  EXPECT_EQ(nodes[0].record.host, "host of a");
  EXPECT_EQ(nodes[0].record.slots, 2u);
  ASSERT_NE(nodes[0].record.engine, nullptr);
  EXPECT_TRUE(nodes[0].record.engine->SameIdentity(*kOld));
  EXPECT_EQ(nodes[1].record.engine, nullptr);
}

TEST_F(FleetTest, KnowsTheNewestEngineAsNodesAreUpdated) {
  RunningNode a(server_, "a");
  RunningNode b(server_, "b");
  EXPECT_TRUE(Eventually([&] { return a.Newest() == "old"; }));
  const EngineInfoPtr before = (*a).Engine();
  const std::uint64_t beats = a.beats();
  EXPECT_TRUE(Eventually([&] { return a.beats() > beats + 2; }));
  EXPECT_EQ((*a).Engine(), before) << "the same engine is the same object";
  b.engine().Load(kNew);
  EXPECT_TRUE(Eventually([&] { return a.Newest() == "new"; }));
  b.engine().Load(nullptr);
  EXPECT_TRUE(Eventually([&] { return a.Newest() == "old"; }));
}

TEST_F(FleetTest, ForgetsANodeThatDies) {
  RunningNode a(server_, "a");
  RunningNode b(server_, "b", {.engine = kNew});
  ASSERT_TRUE(Eventually([&] { return a.Heard().size() == 2 && a.Newest() == "new"; }));
  b.Vanish();
  EXPECT_TRUE(Eventually([&] { return a.Heard() == std::vector<std::string>{"a"}; }));
  EXPECT_EQ(a.Newest(), "old");
  EXPECT_EQ(server_.Ask({"HLEN", "lz:{nodes}:records"}).integer(), 1);
}

TEST_F(FleetTest, ANodeThatEndsIsOffTheListAtOnce) {
  const fleet::Fleet::Settings patient{.beat = milliseconds(20), .gone_after = std::chrono::hours(1)};
  RunningNode a(server_, "a", {.settings = patient});
  {
    RunningNode b(server_, "b", {.settings = patient});
    ASSERT_TRUE(Eventually([&] { return a.Heard().size() == 2; }));
  }
  EXPECT_TRUE(Eventually([&] { return a.Heard().size() == 1; }));
}

TEST_F(FleetTest, WrongClocksOfNodesChangeNothing) {
  RunningNode a(server_, "a", {.clock_ahead = std::chrono::years(10)});
  RunningNode b(server_, "b", {.clock_ahead = -std::chrono::years(10)});
  RunningNode c(server_, "c");
  for (const RunningNode* node : {&a, &b, &c}) {
    EXPECT_TRUE(Eventually([&] { return node->Heard() == std::vector<std::string>{"a", "b", "c"}; }));
  }
  for (const fleet::Node& node : (*c).Nodes()) EXPECT_LE(node.silent, milliseconds(1000)) << node.id;
  b.Vanish();
  EXPECT_TRUE(Eventually([&] { return a.Heard() == std::vector<std::string>{"a", "c"}; }));
}

TEST_F(FleetTest, ForgetsWhatAServerWithAClockAheadHasLeft) {
  const std::string later = std::to_string(SystemClock().Now().time_since_epoch().count() + 3'600'000);
  server_.Ask({"ZADD", "lz:{nodes}:seen", later, "ghost"});
  server_.Ask({"HSET", "lz:{nodes}:records", "ghost", fleet::EncodeNodeRecord({.host = "ghost"})});
  RunningNode a(server_, "a");
  EXPECT_TRUE(Eventually([&] { return a.Heard() == std::vector<std::string>{"a"}; }));
  EXPECT_EQ(server_.Ask({"HEXISTS", "lz:{nodes}:records", "ghost"}).integer(), 0);
}

TEST_F(FleetTest, KnowsNobodyWhileRedisIsGoneAndAllWhenItIsBackEmpty) {
  RunningNode a(server_, "a");
  RunningNode b(server_, "b");
  ASSERT_TRUE(Eventually([&] { return a.Heard().size() == 2; }));
  server_.Kill();
  EXPECT_TRUE(Eventually([&] { return a.Heard().empty(); }));
  EXPECT_EQ(a.Newest(), "none");
  server_.Start();
  for (const RunningNode* node : {&a, &b}) EXPECT_TRUE(Eventually([&] { return node->Heard().size() == 2; }));
}

TEST_F(FleetTest, IgnoresWhatItCannotRead) {
  RunningNode a(server_, "a");
  ASSERT_TRUE(Eventually([&] { return a.Heard().size() == 1; }));
  const std::string now = std::to_string(SystemClock().Now().time_since_epoch().count());
  server_.Ask({"HSET", "lz:{nodes}:records", "newer", "a record of another Lazaret"});
  server_.Ask({"ZADD", "lz:{nodes}:seen", now, "newer"});
  server_.Ask({"DEL", "lz:{nodes}:version"});
  RunningNode b(server_, "b");
  EXPECT_TRUE(Eventually([&] { return a.Heard() == std::vector<std::string>{"a", "b"}; }));
  EXPECT_THAT(b.Heard(), testing::Not(testing::Contains("newer")));
}

}  // namespace
}  // namespace lazaret::tests
