#include "redis/slot.h"

#include <gtest/gtest.h>

namespace lazaret::redis {
namespace {

// The vector of the Redis Cluster specification, appendix A.
TEST(Crc16, GivesTheCheckValueOfXmodem) { EXPECT_EQ(Crc16("123456789"), 0x31C3); }

TEST(Crc16, OfNothingIsZero) { EXPECT_EQ(Crc16(""), 0); }

// As CLUSTER KEYSLOT of Redis 7.0 answers.
TEST(SlotOf, IsWhatRedisSays) {
  EXPECT_EQ(SlotOf("foo"), 12182);
  EXPECT_EQ(SlotOf("bar"), 5061);
  EXPECT_EQ(SlotOf(""), 0);
  EXPECT_EQ(SlotOf("somekey"), 11058);
}

// The examples of the specification, "Hash tags".
TEST(SlotOf, HashesTheTagAlone) {
  EXPECT_EQ(SlotOf("{user1000}.following"), SlotOf("user1000"));
  EXPECT_EQ(SlotOf("{user1000}.following"), SlotOf("{user1000}.followers"));
  EXPECT_EQ(SlotOf("foo{}{bar}"), Crc16("foo{}{bar}") % kSlots);
  EXPECT_EQ(SlotOf("foo{{bar}}zap"), SlotOf("{bar"));
  EXPECT_EQ(SlotOf("foo{bar}{zap}"), SlotOf("bar"));
  EXPECT_EQ(SlotOf("foo{bar"), Crc16("foo{bar") % kSlots);
  EXPECT_EQ(SlotOf("foo}bar{"), Crc16("foo}bar{") % kSlots);
}

}  // namespace
}  // namespace lazaret::redis
