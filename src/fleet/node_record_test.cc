#include "fleet/node_record.h"

#include <gtest/gtest.h>

#include "core/verdict_samples.h"
#include "fleet/fleet.h"

namespace lazaret::fleet {
namespace {

NodeRecord Sample() {
  EngineInfo engine = SampleEngine();
  engine.databases = {{"daily", 28129, WallTime(seconds(1'763'881'200))}, {"main", 63, WallTime(seconds(1))}};
  engine.files_at = WallTime(seconds(1'763'881'300));
  return {.host = "scan-1",
          .role = "worker",
          .version = "0.1.0",
          .takes_jobs = true,
          .slots = 3,
          .engine = std::make_shared<const EngineInfo>(engine)};
}

TEST(NodeRecord, IsReadBack) {
  const auto read = DecodeNodeRecord(AsBytes(EncodeNodeRecord(Sample())));
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->host, "scan-1");
  EXPECT_EQ(read->role, "worker");
  EXPECT_EQ(read->version, "0.1.0");
  EXPECT_TRUE(read->takes_jobs);
  EXPECT_EQ(read->slots, 3u);
  ASSERT_NE(read->engine, nullptr);
  EXPECT_TRUE(read->engine->SameIdentity(SampleEngine()));
  EXPECT_EQ(read->engine->built_at, SampleEngine().built_at);
  ASSERT_EQ(read->engine->databases.size(), 2u);
  EXPECT_EQ(read->engine->databases[0].version, 28129u);
  EXPECT_EQ(read->engine->files_at, WallTime(seconds(1'763'881'300)));
  EXPECT_EQ(read->engine->loaded_at, std::nullopt);
  NodeRecord without = Sample();
  without.engine = nullptr;
  EXPECT_EQ(DecodeNodeRecord(AsBytes(EncodeNodeRecord(without)))->engine, nullptr);
}

TEST(NodeRecord, ACutRecordIsNone) {
  const std::string record = EncodeNodeRecord(Sample());
  for (std::size_t size = 0; size < record.size(); ++size) {
    EXPECT_FALSE(DecodeNodeRecord(AsBytes(record.substr(0, size)))) << size;
  }
  EXPECT_FALSE(DecodeNodeRecord(AsBytes(record + "x")));
}

TEST(NodeRecord, RefusesJustOneByteMoreThanItsLimit) {
  NodeRecord node = Sample();
  node.host.clear();
  node.host.assign(kMaxNodeRecordBytes - EncodeNodeRecord(node).size(), 'x');
  EXPECT_TRUE(DecodeNodeRecord(AsBytes(EncodeNodeRecord(node))));
  node.host += 'x';
  EXPECT_FALSE(DecodeNodeRecord(AsBytes(EncodeNodeRecord(node))));
}

Node Worker(std::string_view set, std::optional<WallTime> built_at, bool takes_jobs = true, bool test_set = false) {
  EngineInfo engine = SampleEngine();
  engine.signature_set = Sha256::Of(AsBytes(set));
  engine.built_at = built_at;
  engine.test_set = test_set;
  return {.id = std::string(set),
          .record = {.takes_jobs = takes_jobs, .engine = std::make_shared<const EngineInfo>(engine)}};
}

TEST(NewestEngine, IsTheNewestOfThoseThatTakeJobs) {
  const WallTime old(seconds(1));
  const WallTime recent(seconds(2));
  const auto newest = [](const std::vector<Node>& nodes) -> std::string {
    const EngineInfoPtr engine = NewestEngine(nodes);
    for (const Node& node : nodes) {
      if (node.record.engine == engine && engine != nullptr) return node.id;
    }
    return "none";
  };
  EXPECT_EQ(newest({}), "none");
  EXPECT_EQ(newest({Worker("api", recent, false), {.id = "loading", .record = {.takes_jobs = true}}}), "none");
  EXPECT_EQ(newest({Worker("a", old), Worker("b", recent), Worker("c", std::nullopt)}), "b");
  EXPECT_EQ(newest({Worker("b", recent), Worker("api", WallTime(seconds(3)), false), Worker("a", old)}), "b");
  EXPECT_EQ(newest({Worker("test", recent, true, true), Worker("a", std::nullopt)}), "a");
}

}  // namespace
}  // namespace lazaret::fleet
