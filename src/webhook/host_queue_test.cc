#include "webhook/host_queue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "webhook/backoff.h"

namespace lazaret::webhook {
namespace {

using Room = HostQueue::Room;
using std::chrono::hours, std::chrono::minutes;

class HostQueueTest : public testing::Test {
 protected:
  static constexpr HostQueue::Limits kLimits{
      .at_once = 4, .at_once_per_host = 2, .waiting = 6, .waiting_per_host = 3, .slow = milliseconds(500)};

  void Push(const std::string& host, std::uint64_t number, seconds wait = seconds(40)) {
    queue_.Push({.delivery = {.number = number,
                              .message_id = "",
                              .id = Sha256::Of({}),
                              .callback = {},
                              .verdict = nullptr,
                              .attempts = 0},
                 .url = {.tls = false, .host = host, .address = {}, .port = 80, .target = "/"},
                 .start_by = now_ + wait});
  }
  // The numbers of the messages that may start now.
  std::vector<std::uint64_t> StartAll() {
    std::vector<std::uint64_t> numbers;
    while (auto entry = queue_.Start(now_)) numbers.push_back(entry->delivery.number);
    return numbers;
  }
  using Numbers = std::vector<std::uint64_t>;

  HostQueue queue_{kLimits};
  SteadyTime now_{hours(1)};
};

TEST_F(HostQueueTest, StartsSoManyAtOnceToOneHost) {
  for (std::uint64_t i = 1; i <= 3; ++i) Push("a", i);
  EXPECT_EQ(StartAll(), (Numbers{1, 2}));
  queue_.Ended("a", now_, now_);
  EXPECT_EQ(StartAll(), (Numbers{3}));
  EXPECT_EQ(queue_.under_way(), 2u);
  EXPECT_EQ(queue_.waiting(), 0u);
}

TEST_F(HostQueueTest, StartsSoManyAtOnceInAll) {
  for (const char* host : {"a", "b", "c"}) {
    Push(host, 1);
    Push(host, 2);
  }
  EXPECT_EQ(StartAll().size(), 4u);
  queue_.Ended("a", now_, now_);
  EXPECT_EQ(StartAll().size(), 1u);
}

TEST_F(HostQueueTest, TakesHostsInTurn) {
  for (std::uint64_t i = 1; i <= 3; ++i) Push("a", i);
  Push("b", 11);
  Push("c", 21);
  EXPECT_EQ(StartAll(), (Numbers{1, 11, 21, 2}));
  queue_.Ended("c", now_, now_);
  EXPECT_EQ(StartAll(), Numbers{});  // "a" has two under way
  queue_.Ended("a", now_, now_);
  Push("b", 12);
  EXPECT_EQ(StartAll(), (Numbers{3, 12}));
}

TEST_F(HostQueueTest, LetsAQuickHostWorkThroughWhatWaits) {
  for (std::uint64_t i = 1; i <= 4; ++i) Push("a", i);
  EXPECT_EQ(StartAll(), (Numbers{1, 2}));
  EXPECT_EQ(queue_.RoomFor("a", now_), Room::kYes);
  Push("a", 5);
  EXPECT_EQ(queue_.RoomFor("a", now_ + milliseconds(500)), Room::kSoon);
  queue_.Ended("a", now_, now_ + milliseconds(500));
  EXPECT_EQ(queue_.RoomFor("a", now_ + milliseconds(500)), Room::kSoon);
  EXPECT_EQ(StartAll(), (Numbers{3}));
  EXPECT_EQ(queue_.RoomFor("a", now_), Room::kYes);
}

TEST_F(HostQueueTest, HasNoMoreRoomForAHostThatIsSlow) {
  for (std::uint64_t i = 1; i <= 2; ++i) Push("a", i);
  EXPECT_EQ(StartAll(), (Numbers{1, 2}));
  for (std::uint64_t i = 3; i <= 5; ++i) Push("a", i);
  EXPECT_EQ(queue_.RoomFor("a", now_ + milliseconds(501)), Room::kNo);
  EXPECT_EQ(queue_.RoomFor("b", now_ + milliseconds(501)), Room::kYes);
  const SteadyTime started = now_;
  now_ += milliseconds(501);
  queue_.Ended("a", started, now_);
  queue_.Ended("a", started, now_);
  EXPECT_EQ(queue_.RoomFor("a", now_), Room::kNo);  // the last post took that long
  EXPECT_EQ(StartAll(), (Numbers{3, 4}));
  Push("a", 6);
  Push("a", 7);
  queue_.Ended("a", now_, now_ + milliseconds(500));
  queue_.Ended("a", now_, now_ + milliseconds(500));
  EXPECT_EQ(queue_.RoomFor("a", now_), Room::kSoon);  // not any more
}

TEST_F(HostQueueTest, HasRoomForSoManyInAll) {
  for (const char* host : {"a", "b"}) {
    for (std::uint64_t i = 1; i <= 3; ++i) {
      EXPECT_EQ(queue_.RoomFor("c", now_), Room::kYes);
      Push(host, i);
    }
  }
  EXPECT_EQ(queue_.RoomFor("c", now_), Room::kSoon);
  now_ += seconds(40) + milliseconds(1);
  EXPECT_EQ(queue_.RoomFor("c", now_), Room::kYes);  // those that wait are too late
  EXPECT_EQ(queue_.waiting(), 0u);
  EXPECT_EQ(StartAll(), Numbers{});
}

TEST_F(HostQueueTest, StartsNothingTooLate) {
  Push("a", 1, seconds(40));
  Push("a", 2, seconds(41));
  now_ += seconds(40);
  EXPECT_EQ(queue_.Start(now_)->delivery.number, 1u);
  now_ += seconds(2);
  EXPECT_EQ(StartAll(), Numbers{});
  queue_.Ended("a", now_ - seconds(2), now_);
  Push("a", 3);
  EXPECT_EQ(StartAll(), (Numbers{3}));
}

TEST_F(HostQueueTest, DropsWhatWaits) {
  for (std::uint64_t i = 1; i <= 3; ++i) Push("a", i);
  Push("b", 11);
  EXPECT_EQ(queue_.Start(now_)->delivery.number, 1u);
  queue_.DropWaiting();
  EXPECT_EQ(queue_.waiting(), 0u);
  EXPECT_EQ(StartAll(), Numbers{});
  queue_.Ended("a", now_, now_);
  EXPECT_EQ(queue_.under_way(), 0u);
  Push("b", 12);
  EXPECT_EQ(StartAll(), (Numbers{12}));
}

TEST(PauseAfter, GrowsToTwoHours) {
  const milliseconds expected[] = {seconds(5), seconds(30), minutes(2), minutes(10), minutes(30),
                                   hours(1),   hours(2),    hours(2),   hours(2)};
  for (std::uint32_t i = 0; i < std::size(expected); ++i) {
    EXPECT_EQ(PauseAfter(i + 1, 0.5), expected[i]) << i;
    EXPECT_EQ(PauseAfter(i + 1, 0), expected[i] * 4 / 5) << i;
    EXPECT_EQ(PauseAfter(i + 1, 1), expected[i] * 6 / 5) << i;
  }
  EXPECT_EQ(PauseAfter(4'000'000'000u, 0.5), hours(2));
}

}  // namespace
}  // namespace lazaret::webhook
