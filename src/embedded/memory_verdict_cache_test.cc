#include "embedded/memory_verdict_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "aio/broadcast.h"
#include "core/verdict_samples.h"

namespace lazaret::embedded {
namespace {

namespace asio = boost::asio;

// The last byte of a digest chooses its shard.
Digest InShard(std::size_t shard, std::size_t number) {
  std::array<std::byte, Digest::kSize> bytes;
  std::ranges::copy(SampleDigest(number).AsSpan(), bytes.begin());
  bytes.back() = static_cast<std::byte>(shard);
  return Digest(bytes);
}

// A backing whose answers are held back until the test lets them go. One executor.
class GatedBacking final : public VerdictCache {
 public:
  aio::Task<Result<VerdictPtr>> Find(Digest digest) override {
    ++finds;
    if (failure) co_return std::unexpected(*failure);
    VerdictPtr read;
    if (const auto found = verdicts.find(digest); found != verdicts.end()) read = found->second;
    if (hold_finds) co_await released.Wait(SteadyTime::max());
    co_return read;
  }
  aio::Task<Result<void>> Store(Digest digest, VerdictPtr verdict) override {
    if (failure) co_return std::unexpected(*failure);
    verdicts.insert_or_assign(digest, std::move(verdict));
    co_return Result<void>();
  }

  std::map<Digest, VerdictPtr> verdicts;
  std::optional<Error> failure;
  bool hold_finds = false;
  aio::Broadcast<bool> released;
  int finds = 0;
};

class MemoryVerdictCacheTest : public testing::Test {
 protected:
  FakeClock clock_;
  CachePolicy policy_{};
  GatedBacking backing_;
};

TEST_F(MemoryVerdictCacheTest, PeeksWithoutTheBacking) {
  MemoryVerdictCache cache(clock_, policy_, 10, &backing_);
  backing_.verdicts[SampleDigest(1)] = SampleClean(clock_);
  EXPECT_EQ(cache.Peek(SampleDigest(1)), nullptr);
  EXPECT_EQ(backing_.finds, 0);
  ASSERT_TRUE(Await(cache.Find(SampleDigest(1))));
  EXPECT_EQ(cache.Peek(SampleDigest(1)), backing_.verdicts[SampleDigest(1)]);
  clock_.Advance(policy_.max_age - milliseconds(1));
  EXPECT_NE(cache.Peek(SampleDigest(1)), nullptr);
  clock_.Advance(milliseconds(1));
  EXPECT_EQ(cache.Peek(SampleDigest(1)), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(MemoryVerdictCacheTest, CountsEntriesExactlyWhicheverShardsTheyAreIn) {
  for (const std::size_t shards : {1, 3, 16}) {
    MemoryVerdictCache cache(clock_, policy_, 20);
    for (std::size_t i = 0; i < 60; ++i) {
      ASSERT_TRUE(Await(cache.Store(InShard(i % shards, i), SampleClean(clock_))));
      EXPECT_EQ(cache.size(), std::min<std::size_t>(i + 1, 20)) << shards << " shards";
      EXPECT_NE(cache.Peek(InShard(i % shards, i)), nullptr);
    }
  }
}

TEST_F(MemoryVerdictCacheTest, MakesRoomInOtherShardsToo) {
  MemoryVerdictCache cache(clock_, policy_, 2);
  for (std::size_t shard = 0; shard < 16; ++shard) {
    ASSERT_TRUE(Await(cache.Store(InShard(shard, 1), SampleClean(clock_))));
    EXPECT_LE(cache.size(), 2u);
    EXPECT_NE(cache.Peek(InShard(shard, 1)), nullptr) << "evicted what was just stored";
  }
}

TEST_F(MemoryVerdictCacheTest, EvictsTheLeastRecentlyUsed) {
  MemoryVerdictCache cache(clock_, policy_, 3);
  for (std::size_t i = 0; i < 3; ++i) ASSERT_TRUE(Await(cache.Store(InShard(5, i), SampleClean(clock_))));
  EXPECT_NE(cache.Peek(InShard(5, 0)), nullptr);
  ASSERT_TRUE(Await(cache.Find(InShard(5, 1))));
  ASSERT_TRUE(Await(cache.Store(InShard(5, 3), SampleClean(clock_))));
  EXPECT_NE(cache.Peek(InShard(5, 0)), nullptr);
  EXPECT_NE(cache.Peek(InShard(5, 1)), nullptr);
  EXPECT_EQ(cache.Peek(InShard(5, 2)), nullptr);
}

TEST_F(MemoryVerdictCacheTest, ReplacingEvictsNothing) {
  MemoryVerdictCache cache(clock_, policy_, 2);
  for (const std::size_t number : {0, 1, 0, 1, 1}) {
    ASSERT_TRUE(Await(cache.Store(InShard(5, number), SampleClean(clock_))));
  }
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_NE(cache.Peek(InShard(5, 0)), nullptr);
}

TEST_F(MemoryVerdictCacheTest, AsksTheBackingOnce) {
  MemoryVerdictCache cache(clock_, policy_, 10, &backing_);
  backing_.verdicts[SampleDigest(1)] = SampleClean(clock_);
  for (int i = 0; i < 3; ++i) EXPECT_NE(Await(cache.Find(SampleDigest(1))).value(), nullptr);
  EXPECT_EQ(backing_.finds, 1);
}

TEST_F(MemoryVerdictCacheTest, WritesThrough) {
  MemoryVerdictCache cache(clock_, policy_, 10, &backing_);
  const VerdictPtr verdict = SampleClean(clock_);
  ASSERT_TRUE(Await(cache.Store(SampleDigest(1), verdict)));
  EXPECT_EQ(backing_.verdicts[SampleDigest(1)], verdict);
}

TEST_F(MemoryVerdictCacheTest, RemembersWhatTheBackingCouldNotStore) {
  MemoryVerdictCache cache(clock_, policy_, 10, &backing_);
  backing_.failure = Error{Errc::kOverloaded, "disk full"};
  const auto stored = Await(cache.Store(SampleDigest(1), SampleClean(clock_)));
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error(), *backing_.failure);
  EXPECT_NE(cache.Peek(SampleDigest(1)), nullptr);
}

TEST_F(MemoryVerdictCacheTest, NeverTurnsAFailingBackingIntoAMiss) {
  MemoryVerdictCache cache(clock_, policy_, 10, &backing_);
  backing_.failure = Error{Errc::kCorrupt, "flipped"};
  const auto found = Await(cache.Find(SampleDigest(1)));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error(), *backing_.failure);
}

TEST_F(MemoryVerdictCacheTest, DoesNotReturnWhatItsOwnPolicyForgets) {
  MemoryVerdictCache cache(clock_, policy_, 10, &backing_);
  backing_.verdicts[SampleDigest(1)] = SampleClean(clock_);
  clock_.Advance(policy_.max_age);
  EXPECT_EQ(Await(cache.Find(SampleDigest(1))).value(), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

// Starts a Find that has read the backing's old verdict and waits, runs `meanwhile`, and lets the Find go on.
template <class Meanwhile>
VerdictPtr FindWhile(MemoryVerdictCache& cache, GatedBacking& backing, const Digest& digest, Meanwhile meanwhile) {
  backing.hold_finds = true;
  asio::io_context io;
  auto found = asio::co_spawn(io, cache.Find(digest), asio::use_future);
  io.poll();
  EXPECT_EQ(backing.finds, 1) << "the Find has not read yet";
  meanwhile();
  backing.released.Set(true);
  io.restart();
  io.run();
  return found.get().value();
}

TEST_F(MemoryVerdictCacheTest, ANewerVerdictIsNotOverwrittenByAnOlderOneThatIsBeingRead) {
  MemoryVerdictCache cache(clock_, policy_, 10, &backing_);
  backing_.verdicts[SampleDigest(1)] = SampleClean(clock_);
  const VerdictPtr newer = SampleInfected(clock_);
  const VerdictPtr found =
      FindWhile(cache, backing_, SampleDigest(1), [&] { ASSERT_TRUE(Await(cache.Store(SampleDigest(1), newer))); });
  EXPECT_EQ(found, newer);
  EXPECT_EQ(cache.Peek(SampleDigest(1)), newer);
}

TEST_F(MemoryVerdictCacheTest, ANewerVerdictThatWasEvictedAlreadyIsNotHiddenByAnOlderOne) {
  MemoryVerdictCache cache(clock_, policy_, 1, &backing_);
  const Digest digest = InShard(3, 1);
  backing_.verdicts[digest] = SampleClean(clock_);
  FindWhile(cache, backing_, digest, [&] {
    ASSERT_TRUE(Await(cache.Store(digest, SampleInfected(clock_))));
    ASSERT_TRUE(Await(cache.Store(InShard(4, 2), SampleInfected(clock_))));
    ASSERT_EQ(cache.Peek(digest), nullptr);
  });
  EXPECT_EQ(cache.Peek(digest), nullptr);
}

TEST_F(MemoryVerdictCacheTest, AsksASharedBackingAnewWhateverItHas) {
  MemoryVerdictCache shared(clock_, policy_, 10, &backing_, {}, Backing::kShared);
  MemoryVerdictCache own(clock_, policy_, 10, &backing_);
  for (MemoryVerdictCache* cache : {&shared, &own})
    ASSERT_TRUE(Await(cache->Store(SampleDigest(1), SampleClean(clock_))));
  const VerdictPtr newer = SampleInfected(clock_);
  backing_.verdicts[SampleDigest(1)] = newer;
  EXPECT_NE(Await(shared.Find(SampleDigest(1))).value(), newer);
  EXPECT_EQ(Await(shared.FindAnew(SampleDigest(1))).value(), newer);
  EXPECT_EQ(shared.Peek(SampleDigest(1)), newer);
  EXPECT_NE(Await(own.FindAnew(SampleDigest(1))).value(), newer);
  EXPECT_EQ(backing_.finds, 1) << "nobody else writes to its own backing";
}

TEST_F(MemoryVerdictCacheTest, KeepsWhatASharedBackingHasNotGot) {
  MemoryVerdictCache cache(clock_, policy_, 10, &backing_, {}, Backing::kShared);
  const VerdictPtr verdict = SampleClean(clock_);
  ASSERT_TRUE(Await(cache.Store(SampleDigest(1), verdict)));
  backing_.verdicts.clear();
  EXPECT_EQ(Await(cache.FindAnew(SampleDigest(1))).value(), verdict);
  backing_.failure = Error{Errc::kUnavailable, "gone"};
  EXPECT_FALSE(Await(cache.FindAnew(SampleDigest(1))));
}

TEST_F(MemoryVerdictCacheTest, LeavesTheAgeToASharedBacking) {
  MemoryVerdictCache cache(clock_, policy_, 10, &backing_, {}, Backing::kShared);
  // The node that scanned it has a clock that is years behind ours.
  backing_.verdicts[SampleDigest(1)] = SampleClean(clock_);
  backing_.verdicts[SampleDigest(2)] = SampleUnscannable(clock_, Reason::kTimeout);
  clock_.Advance(std::chrono::years(3));
  for (const std::size_t i : {1, 2}) EXPECT_NE(Await(cache.Find(SampleDigest(i))).value(), nullptr);
  EXPECT_EQ(cache.Peek(SampleDigest(2)), nullptr) << "passing verdicts are not kept";
  clock_.Advance(std::chrono::hours(1) - milliseconds(1));
  EXPECT_NE(cache.Peek(SampleDigest(1)), nullptr);
  clock_.Advance(milliseconds(1));
  EXPECT_EQ(cache.Peek(SampleDigest(1)), nullptr);
}

TEST_F(MemoryVerdictCacheTest, TellsAtMostOnceAnHourThatAnEntryIsUsed) {
  std::vector<Digest> used;
  MemoryVerdictCache cache(clock_, policy_, 10, &backing_, [&](const Digest& digest) { used.push_back(digest); });
  backing_.verdicts[SampleDigest(2)] = SampleClean(clock_);
  ASSERT_TRUE(Await(cache.Store(SampleDigest(1), SampleClean(clock_))));
  ASSERT_TRUE(Await(cache.Find(SampleDigest(2))));
  clock_.Advance(std::chrono::hours(1) - milliseconds(1));
  EXPECT_NE(cache.Peek(SampleDigest(1)), nullptr);
  ASSERT_TRUE(Await(cache.Find(SampleDigest(2))));
  EXPECT_THAT(used, testing::IsEmpty());
  clock_.Advance(milliseconds(1));
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(cache.Peek(SampleDigest(1)), nullptr);
    ASSERT_TRUE(Await(cache.Find(SampleDigest(2))));
  }
  EXPECT_THAT(used, testing::ElementsAre(SampleDigest(1), SampleDigest(2)));
  clock_.Advance(std::chrono::hours(1));
  EXPECT_NE(cache.Peek(SampleDigest(1)), nullptr);
  EXPECT_EQ(used.size(), 3u);
}

TEST_F(MemoryVerdictCacheTest, RefusesToStoreNothing) {
  MemoryVerdictCache cache(clock_, policy_, 10);
  EXPECT_THROW(Await(cache.Store(SampleDigest(1), nullptr)), std::logic_error);
}

}  // namespace
}  // namespace lazaret::embedded
