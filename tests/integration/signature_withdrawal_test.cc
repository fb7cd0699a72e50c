// A false positive is withdrawn: no cached `infected` answers any more, on one server and on three that share a Redis.
#include <optional>
#include <utility>

#include "integration/redis_process.h"
#include "integration/signature_nodes.h"

namespace lazaret::tests {
namespace {

constexpr const char* kGood = "an important document that a signature takes for something else";

enum class By { kRemoval, kAllowList, kIgnoreList, kOverride };

struct Case {
  const char* name;
  std::size_t nodes;
  By by;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class Withdrawal : public SignatureNodesTest, public testing::WithParamInterface<Case> {
 protected:
  void StartNodes() {
    Put("good.ndb", Finds("Test.Good", "important document"));
    if (GetParam().nodes > 1) redis_.emplace();
    for (std::size_t i = 0; i < GetParam().nodes; ++i) {
      std::vector<std::string> arguments = {"--scanners", "1"};
      if (redis_) arguments.insert(arguments.end(), {"--set", "redis.url=" + redis_->Url()});
      Add(fmt::format("node{}", i), std::move(arguments));
    }
    for (const auto& node : nodes_) ASSERT_TRUE(node->IsReady());
  }
  void Withdraw() const {
    switch (GetParam().by) {
      case By::kRemoval: return Remove("good.ndb");
      // SHA-256 of the content, its size, a name: "hash-based allow list".
      case By::kAllowList:
        return Put("good.sfp", fmt::format("{}:{}:Good.Document\n", IdOf(kGood), std::string_view(kGood).size()));
      case By::kIgnoreList: return Put("good.ign2", "Test.Good\n");
      case By::kOverride: {
        const Outcome added = nodes_[0]->Command({"override", "add", IdOf(kGood), "clean", "--reason", "false alarm"});
        EXPECT_EQ(added.status, 0) << added.err;
      }
    }
  }
  std::string Wanted() const { return GetParam().by == By::kOverride ? "clean by override" : "clean"; }

  std::optional<RedisProcess> redis_;
};

TEST_P(Withdrawal, LeavesNoCachedVerdictBehind) {
  StartNodes();
  for (const auto& node : nodes_) {
    ASSERT_EQ(node->Says(kGood), "infected");
    ASSERT_TRUE(ParseJson(*node->Scan(kGood)).at("cached").as_bool()) << "it is answered from the cache";
  }
  Withdraw();
  for (const auto& node : nodes_) {
    EXPECT_TRUE(Eventually([&] { return node->Says(kGood) == Wanted(); })) << node->name();
  }
  // No node brings the old verdict back to another one, whichever asks in whichever order, and the look-ups that scan
  // nothing say the same.
  for (int round = 0; round < 3; ++round) {
    for (const auto& node : nodes_) {
      EXPECT_EQ(node->Says(kGood), Wanted()) << node->name();
      const auto known = Get(node->port(), "/v1/scans/" + IdOf(kGood));
      ASSERT_THAT(known, HasVerdict("clean"));
      EXPECT_EQ(ParseJson(*known).at("fresh"), true);
    }
  }
  if (GetParam().by != By::kOverride) return;
  ASSERT_EQ(nodes_.back()->Command({"override", "remove", IdOf(kGood)}).status, 0);
  for (const auto& node : nodes_) {
    EXPECT_TRUE(Eventually([&] { return node->Says(kGood) == "infected"; })) << "the engine's word counts again";
  }
}

INSTANTIATE_TEST_SUITE_P(
    , Withdrawal,
    testing::Values(Case{"RemovedOnOne", 1, By::kRemoval}, Case{"AllowListOnOne", 1, By::kAllowList},
                    Case{"IgnoreListOnOne", 1, By::kIgnoreList}, Case{"OverrideOnOne", 1, By::kOverride},
                    Case{"RemovedOnThree", 3, By::kRemoval}, Case{"AllowListOnThree", 3, By::kAllowList},
                    Case{"IgnoreListOnThree", 3, By::kIgnoreList}, Case{"OverrideOnThree", 3, By::kOverride}),
    [](const auto& of) { return of.param.name; });

}  // namespace
}  // namespace lazaret::tests
