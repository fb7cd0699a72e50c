#include "service/lane_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace lazaret {
namespace {

constexpr bool kShort = true;
constexpr bool kLong = false;

TEST(LaneQueue, StartsTheOldestFirst) {
  LaneQueue queue(1, 0);
  const auto first = queue.Add(kShort);
  const auto second = queue.Add(kShort);
  EXPECT_EQ(queue.StartNext(), first);
  EXPECT_EQ(queue.StartNext(), std::nullopt) << "the only slot is taken";
  queue.Done(kShort);
  EXPECT_EQ(queue.StartNext(), second);
}

TEST(LaneQueue, LetsLongOnesUseEverySlotWhenNobodyElseWaits) {
  LaneQueue queue(2, 1);
  queue.Add(kLong);
  queue.Add(kLong);
  queue.Add(kLong);
  EXPECT_TRUE(queue.StartNext());
  EXPECT_TRUE(queue.StartNext());
  EXPECT_FALSE(queue.StartNext()) << "the express slot is not for long ones";
}

TEST(LaneQueue, ShortOnesPassLongOnesThatHoldEverySlot) {
  LaneQueue queue(2, 1);
  queue.Add(kLong);
  queue.Add(kLong);
  queue.StartNext();
  queue.StartNext();
  const auto first = queue.Add(kShort);
  queue.Add(kShort);
  EXPECT_EQ(queue.StartNext(), first);
  EXPECT_FALSE(queue.StartNext()) << "one at a time";
}

TEST(LaneQueue, ExpressSlotStaysFreeWhileShortOnesShareTheOrdinarySlots) {
  LaneQueue queue(2, 1);
  for (int i = 0; i < 3; ++i) queue.Add(kShort);
  EXPECT_TRUE(queue.StartNext());
  EXPECT_TRUE(queue.StartNext());
  EXPECT_FALSE(queue.StartNext());
}

TEST(LaneQueue, StarvesNeitherKind) {
  LaneQueue queue(1, 0);
  std::vector<LaneQueue::Ticket> longs;
  for (int i = 0; i < 100; ++i) queue.Add(kShort);
  for (int i = 0; i < 5; ++i) longs.push_back(queue.Add(kLong));
  std::size_t long_started = 0;
  for (int started = 1; started <= 25; ++started) {
    const auto ticket = queue.StartNext();
    ASSERT_TRUE(ticket);
    const bool is_long = *ticket >= longs.front();
    if (is_long) {
      EXPECT_EQ(*ticket, longs[long_started++]);
    }
    queue.Done(is_long ? kLong : kShort);
  }
  EXPECT_EQ(long_started, 5u) << "every fifth start";
}

TEST(LaneQueue, ForgetsWhoGaveUp) {
  LaneQueue queue(1, 0);
  const auto first = queue.Add(kShort);
  const auto second = queue.Add(kLong);
  queue.Remove(first);
  EXPECT_EQ(queue.waiting(), 1u);
  EXPECT_EQ(queue.StartNext(), second);
  queue.Remove(first);
}

}  // namespace
}  // namespace lazaret
