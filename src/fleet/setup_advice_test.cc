#include "fleet/setup_advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lazaret::fleet {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kGood =
    "# Memory\r\nused_memory:1000\r\nmaxmemory:1048576\r\nmaxmemory_human:1.00M\r\nmaxmemory_policy:volatile-lru\r\n"
    "# Persistence\r\nloading:0\r\naof_enabled:1\r\n";

std::string With(std::string_view good, std::string_view bad) {
  std::string info(kGood);
  return info.replace(info.find(good), good.size(), bad);
}

auto Says(std::string_view why, std::string_view cure) {
  return AllOf(Field(&Advice::why, HasSubstr(why)), Field(&Advice::cure, HasSubstr(cure)));
}

TEST(SetupAdvice, IsSilentAboutAQueueThatIsKept) {
  EXPECT_THAT(AdviseOn(kGood), IsEmpty());
  EXPECT_THAT(AdviseOn(With("volatile-lru", "noeviction")), IsEmpty());
}

TEST(SetupAdvice, WarnsOfPoliciesThatEvictTheQueue) {
  for (const char* policy : {"allkeys-lru", "allkeys-lfu", "allkeys-random"}) {
    EXPECT_THAT(AdviseOn(With("volatile-lru", policy)), ElementsAre(Says(policy, "maxmemory-policy to volatile-lru")));
  }
}

TEST(SetupAdvice, WarnsOfMemoryWithoutABound) {
  EXPECT_THAT(AdviseOn(With("maxmemory:1048576", "maxmemory:0")), ElementsAre(Says("kernel", "set maxmemory")));
}

TEST(SetupAdvice, WarnsOfARedisThatForgets) {
  EXPECT_THAT(AdviseOn(With("aof_enabled:1", "aof_enabled:0")),
              ElementsAre(Says("appendonly no", "appendonly to yes")));
}

TEST(SetupAdvice, TakesSilenceForWell) {
  EXPECT_THAT(AdviseOn(""), IsEmpty());
  EXPECT_THAT(AdviseOn("redis_version:7.0.15"), IsEmpty());
}

}  // namespace
}  // namespace lazaret::fleet
