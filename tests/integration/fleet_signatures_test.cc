// Servers that share a Redis and load changed signatures in turn.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <future>
#include <set>

#include "base/unique_fd.h"
#include "integration/redis_process.h"
#include "integration/signature_nodes.h"

namespace lazaret::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kNeedle = "a needle in a haystack";

// Each server starts its scanner program through a script that, from Gate on, says that it loads and stands until the
// test lets it go.
class FleetSignatures : public SignatureNodesTest {
 protected:
  // What stands at a gate has the log of its server open, the end of which is waited for.
  ~FleetSignatures() override {
    OpenGates();
    for (const std::string& name : Loading()) LetGo(name);
  }

  SignatureNode& AddNode(const std::string& name, std::vector<std::string> more = {}) {
    const std::string script = (root_ / (name + "-scanner")).native();
    root_.Write(name + "-scanner",
                fmt::format("#!/bin/sh\nif [ -e {0}/gated ]; then : > {0}/loading-{1}; read go < {0}/gate-{1}; "
                            "rm -f {0}/loading-{1}; fi\nexec {2} \"$@\"\n",
                            root_.path().native(), name, LAZARET_SCANNER_HOOKS));
    fs::permissions(script, fs::perms(0755));
    EXPECT_EQ(::mkfifo((root_ / ("gate-" + name)).c_str(), 0600), 0);
    more.insert(more.end(), {"--set", "engine.scanner_program=" + script, "--set", "redis.url=" + redis_.Url(), "--set",
                             "redis.turn=2s", "--scanners", "1"});
    return Add(name, std::move(more));
  }
  void AddNodes(std::vector<std::string> more = {}) {
    for (const char* name : {"a", "b", "c"}) AddNode(name, more);
    for (const auto& node : nodes_) ASSERT_TRUE(node->IsReady());
    for (const auto& node : nodes_) {  // so that each knows what the others are called
      ASSERT_TRUE(Eventually([&] { return node->Info().at("fleet").at("nodes").as_array().size() == 3; }));
    }
  }

  void Gate() const { root_.Write("gated", ""); }
  void OpenGates() const { fs::remove(root_ / "gated"); }
  std::set<std::string> Loading() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(root_.path())) {
      const std::string name = entry.path().filename();
      if (name.starts_with("loading-")) names.insert(name.substr(8));
    }
    return names;
  }
  // Lets the one go that stands at its gate.
  void LetGo(const std::string& name) const {
    UniqueFd gate;
    // Nobody reads yet in the moment between the word and the gate.
    EXPECT_TRUE(Eventually([&] {
      gate = UniqueFd(::open((root_ / ("gate-" + name)).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
      return static_cast<bool>(gate);
    }));
    EXPECT_EQ(::write(gate.Get(), "go\n", 3), 3);
  }
  std::vector<SignatureNode*> Others(const std::set<std::string>& not_these) const {
    std::vector<SignatureNode*> others;
    for (const auto& node : nodes_) {
      if (!not_these.contains(node->name()) && !node->process().is_over()) others.push_back(node.get());
    }
    return others;
  }

  // One node stands at its gate with a changed set, and the others wait for their turn; the gates are open then.
  std::string LetOneLoad() const {
    Gate();
    Put("needle.ndb", Finds("Test.Needle", kNeedle));
    EXPECT_TRUE(Eventually([&] { return Loading().size() == 1; }));
    const auto loading = Loading();
    for (SignatureNode* other : Others(loading)) {
      EXPECT_TRUE(Eventually([&] { return other->Phase() == "waiting-for-turn"; }));
    }
    OpenGates();
    return loading.empty() ? "" : *loading.begin();
  }

  RedisProcess redis_;
};

class InTurn : public FleetSignatures, public testing::WithParamInterface<const char*> {};

TEST_P(InTurn, NeverTwoNodesAtOnce) {
  AddNodes({"--set", std::string("signatures.reload=") + GetParam()});
  const std::string before = nodes_[0]->SetInUse();
  Gate();
  Put("needle.ndb", Finds("Test.Needle", kNeedle));
  std::set<std::string> done;
  while (done.size() < nodes_.size()) {
    ASSERT_TRUE(Eventually([&] { return Loading().size() == 1; }));
    const std::string name = *Loading().begin();
    ASSERT_FALSE(done.contains(name));
    auto now_done = done;
    now_done.insert(name);
    for (SignatureNode* other : Others(now_done)) {
      ASSERT_TRUE(Eventually([&] { return other->Phase() == "waiting-for-turn"; })) << other->name();
      EXPECT_TRUE(Eventually([&] { return TextOf(other->Part("candidate"), "waits_for").starts_with(name + " ("); }));
      EXPECT_THAT(other->Command({"signatures", "status"}).out, HasSubstr("waiting-for-turn for "));
      EXPECT_EQ(other->SetInUse(), before);
      EXPECT_EQ(other->Says("nothing here, " + name), "clean") << "it scans on while it waits";
    }
    EXPECT_EQ(Loading(), std::set<std::string>{name});
    LetGo(name);
    done = now_done;
    SignatureNode& node = **std::ranges::find(nodes_, name, [](const auto& one) { return one->name(); });
    ASSERT_TRUE(Eventually([&] { return node.SetInUse() != before && node.Phase().empty(); })) << name;
    EXPECT_EQ(node.Says(kNeedle), "infected");
  }
  const std::string after = nodes_[0]->SetInUse();
  EXPECT_TRUE(Eventually([&] {
    const auto info = nodes_[0]->Info();
    return std::ranges::all_of(info.at("fleet").at("nodes").as_array(), [&](const boost::json::value& node) {
      const auto& engine = node.at("engine");
      return engine.is_object() && TextOf(engine.get_object(), "signature_set_digest") == after &&
             engine.at("age_s").is_int64() && engine.at("loaded_at").is_string();
    });
  }));
  const auto page = Get(nodes_[0]->port(), "/metrics");
  ASSERT_THAT(page, HasStatus(200));
  EXPECT_THAT(page->body, HasSubstr("lazaret_node_signature_set_age_seconds{"));
  EXPECT_TRUE(Eventually([&] { return redis_.Ask({"EXISTS", "lz:{nodes}:load-turn"}).integer() == 0; }));
}

INSTANTIATE_TEST_SUITE_P(Modes, InTurn, testing::Values("beside", "drain"), [](const auto& of) { return of.param; });

TEST_F(FleetSignatures, ANodeThatIsKilledInItsTurnDoesNotStopTheOthers) {
  AddNodes();
  const std::string first = LetOneLoad();
  ASSERT_NE(first, "");
  SignatureNode& killed = **std::ranges::find(nodes_, first, [](const auto& one) { return one->name(); });
  killed.process().Signal(SIGKILL);
  LetGo(first);  // for nobody
  killed.process().Kill();
  for (SignatureNode* other : Others({first})) {
    EXPECT_TRUE(Eventually([&] { return other->Says(kNeedle) == "infected"; })) << other->name();
  }
}

// Every node has kNeedle's signature and could go back; one loads the next set, at its gate, and the others wait.
class FleetRollback : public FleetSignatures {
 protected:
  void LetOneWait(const std::string& mode) {
    AddNodes({"--set", "signatures.reload=" + mode});
    Put("needle.ndb", Finds("Test.Needle", kNeedle));
    for (const auto& node : nodes_) {
      ASSERT_TRUE(Eventually([&] { return node->Says(kNeedle) == "infected" && node->Phase().empty(); }));
    }
    Gate();
    Put("other.ndb", Finds("Test.Other", "another needle"));
    ASSERT_TRUE(Eventually([&] { return Loading().size() == 1; }));
    first_ = *Loading().begin();
    waiting_ = Others({first_}).front();
    ASSERT_TRUE(Eventually([&] { return waiting_->Phase() == "waiting-for-turn"; }));
    OpenGates();  // for whoever comes now; the first one stands there still
  }
  void ExpectTheNextSetEverywhere() const {
    for (const auto& node : nodes_) {
      EXPECT_TRUE(Eventually([&] { return node->Says("another needle") == "infected"; })) << node->name();
    }
  }

  std::string first_;
  SignatureNode* waiting_ = nullptr;
};

TEST_F(FleetRollback, DoesNotWaitForTheTurnOfAnother) {
  ASSERT_NO_FATAL_FAILURE(LetOneWait("beside"));
  const Outcome back = waiting_->Command({"signatures", "rollback"});
  EXPECT_EQ(back.status, 0) << back.err;
  EXPECT_EQ(waiting_->Says(kNeedle), "clean");
  EXPECT_EQ(Loading(), std::set<std::string>{first_});
  LetGo(first_);
  ExpectTheNextSetEverywhere();
}

TEST_F(FleetRollback, ThatMakesScansWaitWaitsForItsTurn) {
  ASSERT_NO_FATAL_FAILURE(LetOneWait("drain"));
  auto back = std::async(std::launch::async, [&] { return waiting_->Command({"signatures", "rollback"}); });
  // It is the set of before that waits now.
  ASSERT_TRUE(Eventually([&] {
    const auto candidate = waiting_->Part("candidate");
    return TextOf(candidate, "phase") == "waiting-for-turn" &&
           TextOf(candidate, "digest") == TextOf(waiting_->Part("previous"), "digest");
  }));
  EXPECT_EQ(waiting_->Says("nothing here"), "clean") << "it is not drained yet";
  EXPECT_EQ(Loading(), std::set<std::string>{first_});
  LetGo(first_);
  EXPECT_EQ(back.get().status, 0);
  ExpectTheNextSetEverywhere();
}

TEST_F(FleetSignatures, AllLoadThemWhenRedisIsDead) {
  AddNodes();
  redis_.Kill();
  Put("needle.ndb", Finds("Test.Needle", kNeedle));
  for (const auto& node : nodes_) {
    EXPECT_TRUE(Eventually([&] { return node->Says(kNeedle) == "infected"; })) << node->name();
    EXPECT_TRUE(node->process().WaitForLog("without waiting for a turn"));
  }
}

TEST_F(FleetSignatures, RedisThatDiesWhileTheyWaitIsWaitedForNoLonger) {
  AddNodes();
  const std::string first = LetOneLoad();
  ASSERT_NE(first, "");
  redis_.Kill();
  for (SignatureNode* other : Others({first})) {
    EXPECT_TRUE(Eventually([&] { return other->Says(kNeedle) == "infected"; })) << other->name();
  }
  LetGo(first);
  for (const auto& node : nodes_) EXPECT_TRUE(Eventually([&] { return node->Says(kNeedle) == "infected"; }));
}

TEST_F(FleetSignatures, WithoutTurnsNobodyWaits) {
  AddNodes({"--set", "signatures.turns=false"});
  Gate();
  Put("needle.ndb", Finds("Test.Needle", kNeedle));
  EXPECT_TRUE(Eventually([&] { return Loading().size() == 3; }));
  OpenGates();
  for (const auto& node : nodes_) LetGo(node->name());
  for (const auto& node : nodes_) EXPECT_TRUE(Eventually([&] { return node->Says(kNeedle) == "infected"; }));
}

}  // namespace
}  // namespace lazaret::tests
