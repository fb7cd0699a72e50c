#include "service/lane_queue.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <utility>
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
  queue.Done(first);
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

TEST(LaneQueue, TheSmallestGoesFirstInTheExpressSlotAndTheOldestElsewhere) {
  LaneQueue queue(1, 1);
  const auto running = queue.Add(kLong);
  queue.StartNext();
  const auto oldest = queue.Add(kShort, true, 300);
  const auto queued = queue.Add(kShort, false, 10);
  const auto smallest = queue.Add(kShort, true, 20);
  const auto as_small = queue.Add(kShort, true, 20);
  EXPECT_EQ(queue.StartNext(), smallest);
  queue.Done(smallest);
  queue.Done(running);
  EXPECT_EQ(queue.StartNext(), oldest);
  queue.Done(oldest);
  queue.Promote(queued);
  queue.Add(kLong);
  queue.Remove(as_small);
  EXPECT_EQ(queue.StartNext(), queued);
  EXPECT_EQ(queue.waiting(kShort), 0u);
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
    queue.Done(*ticket);
  }
  EXPECT_EQ(long_started, 5u) << "every fifth start";
}

TEST(LaneQueue, ForgetsWhoGaveUp) {
  LaneQueue queue(1, 0);
  const auto first = queue.Add(kShort);
  const auto second = queue.Add(kLong);
  queue.Remove(first);
  EXPECT_EQ(queue.waiting(kShort) + queue.waiting(kLong), 1u);
  EXPECT_EQ(queue.StartNext(), second);
  queue.Remove(first);
}

TEST(LaneQueue, UrgentOnesGoAheadOfQueuedOnesWithoutStarvingThem) {
  LaneQueue queue(1, 0);
  const auto first = queue.Add(kShort, false);
  const auto second = queue.Add(kShort, false);
  std::vector<LaneQueue::Ticket> urgent;
  for (int i = 0; i < 9; ++i) urgent.push_back(queue.Add(kShort));
  std::vector<LaneQueue::Ticket> order;
  while (const auto ticket = queue.StartNext()) {
    order.push_back(*ticket);
    queue.Done(*ticket);
  }
  const std::vector<LaneQueue::Ticket> expected = {urgent[0], urgent[1], urgent[2], urgent[3], first,    urgent[4],
                                                   urgent[5], urgent[6], urgent[7], second,    urgent[8]};
  EXPECT_EQ(order, expected);
}

TEST(LaneQueue, QueuedOnesStartAtOnceWhenNothingIsUrgent) {
  LaneQueue queue(2, 1);
  EXPECT_EQ(queue.Add(kLong, false), queue.StartNext());
  EXPECT_EQ(queue.Add(kLong, false), queue.StartNext());
  EXPECT_EQ(queue.Add(kShort, false), queue.StartNext()) << "the express slot";
  EXPECT_EQ(queue.waiting(kShort) + queue.waiting(kLong), 0u);
}

TEST(LaneQueue, CountsOnlyUrgentOnesAsWaiting) {
  LaneQueue queue(1, 0);
  queue.Add(kShort, false);
  EXPECT_EQ(queue.waiting(kShort), 0u);
  queue.Add(kShort);
  EXPECT_EQ(queue.waiting(kShort), 1u);
}

TEST(LaneQueue, APromotedTicketKeepsItsAge) {
  LaneQueue queue(1, 0);
  const auto running = queue.Add(kShort);
  ASSERT_EQ(queue.StartNext(), running);
  const auto old = queue.Add(kShort, false);
  const auto young = queue.Add(kShort);
  queue.Promote(old);
  EXPECT_EQ(queue.waiting(kShort), 2u);
  queue.Promote(running);  // has started
  queue.Promote(1000);     // unknown
  EXPECT_EQ(queue.waiting(kShort), 2u);
  queue.Done(running);
  EXPECT_EQ(queue.StartNext(), old);
  queue.Done(old);
  EXPECT_EQ(queue.StartNext(), young);
  queue.Done(young);
  const auto queued = queue.Add(kLong, false);
  const auto removed = queue.Add(kLong, false);
  queue.Remove(removed);
  EXPECT_EQ(queue.StartNext(), queued);
  queue.Done(queued);
  EXPECT_FALSE(queue.StartNext());
}

TEST(LaneQueue, SlowQueuedOnesDoNotKeepUrgentShortOnesOut) {
  LaneQueue queue(2, 1);
  for (int i = 0; i < 3; ++i) queue.Add(kShort, false);
  EXPECT_TRUE(queue.StartNext());
  EXPECT_TRUE(queue.StartNext());
  EXPECT_FALSE(queue.StartNext()) << "the express slot is kept free of them";
  for (int i = 0; i < 20; ++i) {
    const auto urgent = queue.Add(kShort);
    ASSERT_EQ(queue.StartNext(), urgent);
    queue.Done(urgent);
  }
}

TEST(LaneQueue, QueuedOnesGetHalfOfTheSlotsWhileUrgentOnesWait) {
  LaneQueue queue(4, 1);
  std::set<LaneQueue::Ticket> queued;
  for (int i = 0; i < 20; ++i) queued.insert(queue.Add(kShort, false));
  for (int i = 0; i < 200; ++i) queue.Add(kShort);
  std::size_t queued_running = 0;
  for (int i = 0; i < 100; ++i) {
    const auto ticket = queue.StartNext();
    ASSERT_TRUE(ticket);
    // The queued ones never end.
    if (queued.contains(*ticket)) {
      ++queued_running;
    } else {
      queue.Done(*ticket);
    }
  }
  EXPECT_EQ(queued_running, 2u);
}

TEST(LaneQueue, QueuedLongOnesAreNotStarvedByUrgentLongOnes) {
  LaneQueue queue(1, 1);
  const auto queued = queue.Add(kLong, false);
  std::optional<LaneQueue::Ticket> last;
  for (int i = 0; i < 6 && last != queued; ++i) {
    queue.Add(kLong);
    last = queue.StartNext();
    ASSERT_TRUE(last);
    EXPECT_FALSE(queue.StartNext());  // the express slot is looked at after every start
    queue.Done(*last);
  }
  EXPECT_EQ(last, queued);
}

// Two ordinary slots and the express slot, each with a short one that turned out to be long.
class LaneQueueOfSlowOnes : public testing::Test {
 protected:
  explicit LaneQueueOfSlowOnes(bool are_urgent = true) {
    for (int i = 0; i < 3; ++i) {
      tickets_.push_back(queue_.Add(kShort, are_urgent));
      EXPECT_EQ(queue_.StartNext(), tickets_.back());
      queue_.Demote(tickets_.back());
    }
  }

  LaneQueue queue_{2, 1};
  std::vector<LaneQueue::Ticket> tickets_;
};

class LaneQueueOfSlowQueuedOnes : public LaneQueueOfSlowOnes {
 protected:
  LaneQueueOfSlowQueuedOnes() : LaneQueueOfSlowOnes(false) {}
};

TEST(LaneQueue, ShortOnesPassShortOnesThatTurnOutToBeLong) {
  LaneQueue queue(2, 1);
  const auto first = queue.Add(kShort);
  const auto second = queue.Add(kShort);
  queue.StartNext();
  queue.StartNext();
  const auto third = queue.Add(kShort);
  EXPECT_FALSE(queue.StartNext());
  queue.Demote(second);
  EXPECT_FALSE(queue.StartNext()) << "the other one is about to end";
  queue.Demote(first);
  EXPECT_FALSE(queue.SmallestHeldUp(true)) << "there is the express slot";
  EXPECT_EQ(queue.StartNext(), third);
  for (const auto ticket : {first, second, third}) queue.Done(ticket);
  EXPECT_EQ(queue.running(), 0u);
}

TEST_F(LaneQueueOfSlowOnes, GiveWayToShortOnesOnly) {
  EXPECT_FALSE(queue_.SmallestHeldUp(true)) << "nobody waits";
  queue_.Add(kLong);
  EXPECT_FALSE(queue_.SmallestHeldUp(true));
  queue_.Add(kShort, true, 70);
  queue_.Add(kShort, true, 60);
  queue_.Add(kShort, false, 50);
  EXPECT_EQ(queue_.SmallestHeldUp(true), 60u);
  EXPECT_EQ(queue_.SmallestHeldUp(false), 60u);
}

TEST_F(LaneQueueOfSlowOnes, DoNotGiveWayToQueuedOnes) {
  queue_.Add(kShort, false);
  EXPECT_FALSE(queue_.SmallestHeldUp(true)) << "somebody waits for it";
  EXPECT_TRUE(queue_.SmallestHeldUp(false));
}

TEST_F(LaneQueueOfSlowOnes, DoNotGiveWayOnceASlotIsFree) {
  queue_.Add(kShort);
  queue_.Done(tickets_.front());
  EXPECT_FALSE(queue_.SmallestHeldUp(true));
}

TEST_F(LaneQueueOfSlowOnes, GoOnAmongTheLongOnesWithTheirAge) {
  queue_.Add(kLong);
  const auto quick = queue_.Add(kShort);
  queue_.Done(tickets_.back());
  queue_.AddAgain(tickets_.back(), true);
  EXPECT_EQ(queue_.StartNext(), quick);
  queue_.Done(quick);
  EXPECT_FALSE(queue_.StartNext()) << "the express slot is not for long ones";
  queue_.Done(tickets_.front());
  EXPECT_EQ(queue_.StartNext(), tickets_.back()) << "before the long one that came later";
}

TEST_F(LaneQueueOfSlowQueuedOnes, GiveWayToQueuedAndUrgentOnes) {
  const auto quick = queue_.Add(kShort, false);
  EXPECT_TRUE(queue_.SmallestHeldUp(false));
  queue_.Done(tickets_.back());
  queue_.AddAgain(tickets_.back(), false);
  EXPECT_EQ(queue_.StartNext(), quick);
  queue_.Done(quick);
  queue_.Done(tickets_.front());
  EXPECT_EQ(queue_.StartNext(), tickets_.back());
}

TEST(LaneQueue, AMuchSmallerOneNeedNotWaitForShortOnes) {
  LaneQueue queue(2, 1);
  const auto large = queue.Add(kShort, true, 4000);
  const auto larger = queue.Add(kShort, true, 8000);
  queue.StartNext();
  queue.StartNext();
  const auto queued = queue.Add(kShort, false, 10);
  EXPECT_FALSE(queue.StartNext()) << "nobody waits for it";
  const auto quarter = queue.Add(kShort, true, 1000);
  EXPECT_FALSE(queue.StartNext()) << "not smaller than a quarter of the smaller one";
  const auto small = queue.Add(kShort, true, 999);
  const auto smaller = queue.Add(kShort, true, 10);
  EXPECT_EQ(queue.StartNext(), smaller);
  EXPECT_FALSE(queue.StartNext()) << "one at a time";
  queue.Done(smaller);
  queue.Demote(large);
  EXPECT_EQ(queue.StartNext(), small);
  queue.Done(small);
  EXPECT_EQ(queue.StartNext(), quarter) << "the smaller one is long now";
  queue.Done(quarter);
  queue.Done(larger);
  EXPECT_EQ(queue.StartNext(), queued);
}

// A long one in the ordinary slot, and small ones without end, each of which turns out to be long in the express slot.
class LaneQueueOfEndlessSlowOnes : public testing::Test {
 protected:
  LaneQueueOfEndlessSlowOnes() { EXPECT_EQ(queue_.StartNext(), ordinary_); }

  // What starts once there is one more of them.
  std::optional<LaneQueue::Ticket> Next() {
    queue_.Add(kShort, true, 1);
    return queue_.StartNext();
  }
  // That in the express slot gives way.
  std::optional<LaneQueue::Ticket> NextInItsPlace(LaneQueue::Ticket slow) {
    queue_.Demote(slow);
    queue_.Done(slow);
    queue_.AddAgain(slow, true);
    return Next();
  }
  // The ordinary slot is free, and that in the express slot has it from then on.
  std::optional<LaneQueue::Ticket> NextBeside(LaneQueue::Ticket slow) {
    queue_.Done(std::exchange(ordinary_, slow));
    queue_.Demote(slow);
    return Next();
  }

  LaneQueue queue_{1, 1};
  LaneQueue::Ticket ordinary_ = queue_.Add(kLong);
};

TEST_F(LaneQueueOfEndlessSlowOnes, DoNotKeepLargerOnesOutOfTheExpressSlot) {
  const auto larger = queue_.Add(kShort, true, 100);
  queue_.Add(kShort, true, 100);
  queue_.Add(kShort, true, 1);
  auto started = Next();
  for (int guesses = 0; guesses < 4; ++guesses) {
    ASSERT_TRUE(started);
    ASSERT_NE(started, larger) << guesses;
    started = NextInItsPlace(*started);
  }
  EXPECT_EQ(started, larger) << "after four wrong guesses";
  queue_.Done(*started);
  EXPECT_GT(Next(), larger + 1) << "and then the smallest again";
}

TEST_F(LaneQueueOfEndlessSlowOnes, DoNotKeepLongOnesOutOfTheOrdinarySlots) {
  auto started = Next();
  const auto large = queue_.Add(kLong);
  for (int starts = 0; starts < 5; ++starts) {
    ASSERT_TRUE(started);
    ASSERT_NE(started, large) << starts;
    started = NextBeside(*started);
  }
  EXPECT_EQ(started, large) << "every fifth start";
  EXPECT_EQ(queue_.running(), 2u);
  EXPECT_TRUE(queue_.SmallestHeldUp(true)) << "that in the express slot still makes room for short ones";
  queue_.Done(ordinary_);
  EXPECT_TRUE(queue_.StartNext()) << "a short one";
  EXPECT_FALSE(queue_.StartNext());
}

TEST_F(LaneQueueOfEndlessSlowOnes, DoNotKeepQueuedOnesOut) {
  auto started = Next();
  const auto queued = queue_.Add(kShort, false, 1);
  for (int starts = 0; starts < 5; ++starts) {
    ASSERT_TRUE(started);
    ASSERT_NE(started, queued) << starts;
    started = NextBeside(*started);
  }
  EXPECT_EQ(started, queued) << "every fifth start";
}

}  // namespace
}  // namespace lazaret
