#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <future>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/verdict_cache.h"
#include "core/verdict_samples.h"

namespace lazaret {

// What every VerdictCache must do. An implementation instantiates the suite with a World, which makes caches:
//   World(const Clock& clock, CachePolicy policy, std::size_t max_entries);  // a new, empty cache
//   VerdictCache& cache();
//   std::size_t MostKept();  // entries that can be found at most; at least `max_entries`
// and, when its cache has a clock of its own:
//   void Advance(milliseconds by);   // moves it
//   static constexpr milliseconds kTick;  // what that clock runs on by itself during a test, at most
template <class World>
class VerdictCacheContract : public testing::Test {
 protected:
  static constexpr std::size_t kRoomy = 10'000;

  static void ExpectStored(VerdictCache& cache, const Digest& digest, const VerdictPtr& verdict) {
    const auto stored = Await(cache.Store(digest, verdict));
    ASSERT_TRUE(stored) << stored.error().what;
  }
  static void ExpectFound(VerdictCache& cache, const Digest& digest, const Verdict& expected) {
    const auto found = Await(cache.Find(digest));
    ASSERT_TRUE(found) << found.error().what;
    ASSERT_NE(*found, nullptr) << "not found";
    ExpectSame(**found, expected);
  }
  static void ExpectMissing(VerdictCache& cache, const Digest& digest) {
    const auto found = Await(cache.Find(digest));
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(*found, nullptr);
  }
  static void ExpectRoundTrip(VerdictCache& cache, const Verdict& verdict) {
    const Digest digest = SampleDigest(77);
    ExpectStored(cache, digest, std::make_shared<const Verdict>(verdict));
    ExpectFound(cache, digest, verdict);
  }
  static std::size_t CountFound(VerdictCache& cache, std::size_t samples) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < samples; ++i) {
      const auto found = Await(cache.Find(SampleDigest(i)));
      EXPECT_TRUE(found);
      count += found && *found != nullptr ? 1 : 0;
    }
    return count;
  }
  // One of many tasks that store and find at once: its own content, and one that all share.
  static aio::Task<> StoreAndFind(VerdictCache& cache, const Clock& clock, std::size_t number) {
    const Digest own = SampleDigest(number);
    const VerdictPtr verdict = SampleInfected(clock, "Name." + std::to_string(number));
    for (const Digest& digest : {own, SampleDigest(0)}) {
      const auto stored = co_await cache.Store(digest, verdict);
      EXPECT_TRUE(stored);
    }
    const auto found = co_await cache.Find(own);
    const bool there = found && *found != nullptr;
    EXPECT_TRUE(there) << "a stored verdict is not found by the task that stored it";
    if (there) ExpectSame(**found, *verdict);
    const auto shared = co_await cache.Find(SampleDigest(0));
    EXPECT_TRUE(shared && *shared != nullptr);
  }

  static constexpr milliseconds Tick() {
    if constexpr (requires { World::kTick; }) return World::kTick;
    return milliseconds(1);
  }
  void Advance(World& world, milliseconds by) {
    clock_.Advance(by);
    if constexpr (requires { world.Advance(by); }) world.Advance(by);
  }

  FakeClock clock_;
  CachePolicy policy_{};
};

TYPED_TEST_SUITE_P(VerdictCacheContract);

TYPED_TEST_P(VerdictCacheContract, FindsWhatWasStored) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  for (std::size_t i = 0; i < 5; ++i) {
    this->ExpectStored(world.cache(), SampleDigest(i), SampleInfected(this->clock_, "Name." + std::to_string(i)));
  }
  for (std::size_t i = 0; i < 5; ++i) {
    this->ExpectFound(world.cache(), SampleDigest(i), *SampleInfected(this->clock_, "Name." + std::to_string(i)));
  }
}

TYPED_TEST_P(VerdictCacheContract, MissesUnknownDigests) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  this->ExpectMissing(world.cache(), SampleDigest(1));
  this->ExpectStored(world.cache(), SampleDigest(1), SampleClean(this->clock_));
  for (const std::size_t position : {std::size_t{0}, std::size_t{15}, Digest::kSize - 1}) {
    std::array<std::byte, Digest::kSize> near;
    std::ranges::copy(SampleDigest(1).AsSpan(), near.begin());
    near[position] ^= std::byte{1};
    this->ExpectMissing(world.cache(), Digest(near));
  }
}

TYPED_TEST_P(VerdictCacheContract, ReplacesAnEarlierVerdict) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  const VerdictPtr verdicts[] = {SampleClean(this->clock_), SampleInfected(this->clock_),
                                 SampleUnscannable(this->clock_, Reason::kEncrypted), SampleClean(this->clock_)};
  for (const VerdictPtr& verdict : verdicts) {
    this->ExpectStored(world.cache(), SampleDigest(1), verdict);
    this->ExpectFound(world.cache(), SampleDigest(1), *verdict);
  }
}

TYPED_TEST_P(VerdictCacheContract, KeepsEveryReason) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  for (int number = 1; number <= static_cast<int>(Reason::kContentLost); ++number) {
    const auto reason = static_cast<Reason>(number);
    this->ExpectRoundTrip(world.cache(), Verdict::Unscannable(SampleRecord(this->clock_), reason, "at \"page\" 3\n"));
    this->ExpectRoundTrip(world.cache(), Verdict::Unscannable(SampleRecord(this->clock_), reason, ""));
  }
}

TYPED_TEST_P(VerdictCacheContract, KeepsEveryByteOfTexts) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  const ScanRecord record = SampleRecord(this->clock_);
  this->ExpectRoundTrip(world.cache(),
                        Verdict::Infected(record, {every_byte, "", ",", "3:abc,", "gr\xC3\xBC\xC3\x9F"}));
  this->ExpectRoundTrip(world.cache(), Verdict::Infected(record, {""}));
  this->ExpectRoundTrip(world.cache(), Verdict::Infected(record, std::vector<std::string>(500, "Same.Name")));
  this->ExpectRoundTrip(world.cache(), Verdict::Unscannable(record, Reason::kTimeout, every_byte));
  EngineInfo engine = SampleEngine();
  engine.name = every_byte;
  engine.version = "";
  engine.signature_label = every_byte + every_byte;
  this->ExpectRoundTrip(world.cache(), Verdict::Clean(SampleRecord(this->clock_, engine)));
}

TYPED_TEST_P(VerdictCacheContract, KeepsEveryNumber) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  ScanRecord record = SampleRecord(this->clock_);
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1} << 32, std::uint64_t{1} << 63, std::numeric_limits<std::uint64_t>::max()}) {
    record.size = size;
    this->ExpectRoundTrip(world.cache(), Verdict::Clean(record));
  }
  for (const double time : {0.0, -0.0, 0.1, 1.0 / 3, 3.0, 1e300}) {
    record.scan_ms = time;
    this->ExpectRoundTrip(world.cache(), Verdict::Clean(record));
  }
  record.scanned_at += milliseconds(999);
  this->ExpectRoundTrip(world.cache(), Verdict::Clean(record));
}

TYPED_TEST_P(VerdictCacheContract, KeepsEnginesApartThatDifferInOneField) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  std::vector<EngineInfo> engines(9, SampleEngine());
  engines[1].signature_set = SampleDigest(1);
  engines[2].profile = SampleDigest(1);
  engines[3].name = "Other";
  engines[4].version = "1.4.7";
  engines[5].signature_label = "daily 28130";
  engines[6].built_at = std::nullopt;
  engines[7].signatures = std::numeric_limits<std::uint64_t>::max();
  engines[8].test_set = true;
  for (const std::optional<WallTime> built_at : {WallTime(milliseconds(0)), WallTime(milliseconds(-1))}) {
    engines.push_back(SampleEngine());
    engines.back().built_at = built_at;
  }
  for (std::size_t i = 0; i < engines.size(); ++i) {
    this->ExpectStored(world.cache(), SampleDigest(i),
                       std::make_shared<const Verdict>(Verdict::Clean(SampleRecord(this->clock_, engines[i]))));
  }
  for (std::size_t i = 0; i < engines.size(); ++i) {
    this->ExpectFound(world.cache(), SampleDigest(i), Verdict::Clean(SampleRecord(this->clock_, engines[i])));
  }
}

TYPED_TEST_P(VerdictCacheContract, ForgetsLastingVerdictsAtTheirAge) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  const VerdictPtr lasting[] = {
      SampleClean(this->clock_), SampleInfected(this->clock_), SampleUnscannable(this->clock_, Reason::kEncrypted),
      SampleUnscannable(this->clock_, Reason::kLimitExceeded), SampleUnscannable(this->clock_, Reason::kUnsupported)};
  for (std::size_t i = 0; i < std::size(lasting); ++i) {
    this->ExpectStored(world.cache(), SampleDigest(i), lasting[i]);
  }
  this->Advance(world, this->policy_.max_age - this->Tick());
  EXPECT_EQ(this->CountFound(world.cache(), std::size(lasting)), std::size(lasting));
  this->Advance(world, this->Tick());
  EXPECT_EQ(this->CountFound(world.cache(), std::size(lasting)), 0u);
}

TYPED_TEST_P(VerdictCacheContract, ForgetsPassingVerdictsSoon) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  const Reason passing[] = {Reason::kTimeout, Reason::kTemporarySpace, Reason::kEngineError, Reason::kEngineCrashed,
                            Reason::kContentLost};
  for (std::size_t i = 0; i < std::size(passing); ++i) {
    this->ExpectStored(world.cache(), SampleDigest(i), SampleUnscannable(this->clock_, passing[i]));
  }
  this->Advance(world, this->policy_.passing_age - this->Tick());
  EXPECT_EQ(this->CountFound(world.cache(), std::size(passing)), std::size(passing));
  this->Advance(world, this->Tick());
  EXPECT_EQ(this->CountFound(world.cache(), std::size(passing)), 0u);
}

TYPED_TEST_P(VerdictCacheContract, CountsTheAgeFromTheScan) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  const VerdictPtr verdict = SampleClean(this->clock_);
  this->Advance(world, this->policy_.max_age - this->Tick());
  this->ExpectStored(world.cache(), SampleDigest(1), verdict);
  this->ExpectFound(world.cache(), SampleDigest(1), *verdict);
  this->Advance(world, this->Tick());
  this->ExpectMissing(world.cache(), SampleDigest(1));
}

TYPED_TEST_P(VerdictCacheContract, ReplacementBringsItsOwnAge) {
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  this->ExpectStored(world.cache(), SampleDigest(1), SampleUnscannable(this->clock_, Reason::kTimeout));
  this->ExpectStored(world.cache(), SampleDigest(1), SampleClean(this->clock_));
  this->ExpectStored(world.cache(), SampleDigest(2), SampleClean(this->clock_));
  this->ExpectStored(world.cache(), SampleDigest(2), SampleUnscannable(this->clock_, Reason::kTimeout));
  const VerdictPtr lasting = SampleClean(this->clock_);
  this->Advance(world, this->policy_.passing_age);
  this->ExpectFound(world.cache(), SampleDigest(1), *lasting);
  this->ExpectMissing(world.cache(), SampleDigest(2));
}

TYPED_TEST_P(VerdictCacheContract, HoldsAsManyAsItMay) {
  constexpr std::size_t kEntries = 50;
  TypeParam world(this->clock_, this->policy_, kEntries);
  for (const VerdictPtr& verdict : {SampleClean(this->clock_), SampleInfected(this->clock_)}) {
    for (std::size_t i = 0; i < kEntries; ++i) this->ExpectStored(world.cache(), SampleDigest(i), verdict);
    EXPECT_EQ(this->CountFound(world.cache(), kEntries), kEntries);
  }
}

TYPED_TEST_P(VerdictCacheContract, GivesWayToNewEntries) {
  constexpr std::size_t kEntries = 50;
  TypeParam world(this->clock_, this->policy_, kEntries);
  for (std::size_t i = 0; i < 3 * kEntries; ++i) {
    this->ExpectStored(world.cache(), SampleDigest(i), SampleClean(this->clock_));
    this->ExpectFound(world.cache(), SampleDigest(i), *SampleClean(this->clock_));
    if (i == kEntries) EXPECT_LE(this->CountFound(world.cache(), i + 1), world.MostKept()) << "one over";
  }
  EXPECT_LE(this->CountFound(world.cache(), 3 * kEntries), world.MostKept());
  EXPECT_GE(this->CountFound(world.cache(), 3 * kEntries), kEntries / 2) << "threw away more than it had to";
}

TYPED_TEST_P(VerdictCacheContract, ServesManyThreadsAtOnce) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kTasks = 50;
  TypeParam world(this->clock_, this->policy_, this->kRoomy);
  std::vector<std::jthread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      boost::asio::io_context io;
      std::vector<std::future<void>> tasks;
      for (std::size_t i = 0; i < kTasks; ++i) {
        tasks.push_back(boost::asio::co_spawn(
            io, this->StoreAndFind(world.cache(), this->clock_, 1 + thread * kTasks + i), boost::asio::use_future));
      }
      io.run();
      for (auto& task : tasks) task.get();
    });
  }
  threads.clear();
  EXPECT_EQ(this->CountFound(world.cache(), 1 + kThreads * kTasks), 1 + kThreads * kTasks);
}

REGISTER_TYPED_TEST_SUITE_P(VerdictCacheContract, FindsWhatWasStored, MissesUnknownDigests, ReplacesAnEarlierVerdict,
                            KeepsEveryReason, KeepsEveryByteOfTexts, KeepsEveryNumber,
                            KeepsEnginesApartThatDifferInOneField, ForgetsLastingVerdictsAtTheirAge,
                            ForgetsPassingVerdictsSoon, CountsTheAgeFromTheScan, ReplacementBringsItsOwnAge,
                            HoldsAsManyAsItMay, GivesWayToNewEntries, ServesManyThreadsAtOnce);

}  // namespace lazaret
