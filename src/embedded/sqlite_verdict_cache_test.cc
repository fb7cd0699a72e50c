#include "embedded/sqlite_verdict_cache.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <filesystem>
#include <limits>
#include <thread>
#include <vector>

#include "core/verdict_samples.h"
#include "embedded/sqlite_samples.h"

namespace lazaret::embedded {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using testing::HasSubstr;

TEST_F(SqliteVerdictCacheTest, RemembersAcrossRestarts) {
  const VerdictPtr verdict = SampleInfected(clock_);
  ASSERT_TRUE(Await(Open()->Store(SampleDigest(1), verdict)));
  auto cache = Open();
  ExpectSame(*Await(cache->Find(SampleDigest(1))).value(), *verdict);
  EXPECT_EQ(cache->stats().entries, 1u);
}

TEST_F(SqliteVerdictCacheTest, ShorterPolicyHoldsForOldRows) {
  Store(*Open(), 1, 1);
  clock_.Advance(std::chrono::hours(1));
  EXPECT_TRUE(Has(*Open(), 1));
  policy_.max_age = std::chrono::hours(1);
  EXPECT_FALSE(Has(*Open(), 1));
}

TEST_F(SqliteVerdictCacheTest, LongerPolicyDoesNotReviveOldRows) {
  policy_.max_age = std::chrono::hours(1);
  Store(*Open(), 1, 1);
  policy_.max_age = std::chrono::hours(2);
  clock_.Advance(std::chrono::hours(1) - milliseconds(1));
  EXPECT_TRUE(Has(*Open(), 1));
  clock_.Advance(milliseconds(1));
  EXPECT_FALSE(Has(*Open(), 1));
}

TEST_F(SqliteVerdictCacheTest, StoresScanTimesThatAreNoNumbers) {
  auto cache = Open();
  ScanRecord record = SampleRecord(clock_);
  record.scan_ms = std::numeric_limits<double>::quiet_NaN();
  ASSERT_TRUE(Await(cache->Store(SampleDigest(1), std::make_shared<const Verdict>(Verdict::Clean(record)))));
  EXPECT_EQ(Await(cache->Find(SampleDigest(1))).value()->record().scan_ms, 0.0);
}

TEST_F(SqliteVerdictCacheTest, VerdictsOfOneEngineShareIt) {
  Store(*Open(), 1, 2);
  auto cache = Open();
  const auto first = Await(cache->Find(SampleDigest(1))).value();
  const auto second = Await(cache->Find(SampleDigest(2))).value();
  EXPECT_EQ(first->record().engine, second->record().engine);
  EXPECT_EQ(Query("SELECT count(*) FROM engines"), 1);
}

TEST_F(SqliteVerdictCacheTest, AFlippedColumnIsCorruptAndNeverAVerdict) {
  const Digest digest = SampleDigest(1);
  const std::string other = SampleDigest(2).Hex();
  const std::string edits[] = {
      "verdicts SET kind = 1, signatures = x''",
      "verdicts SET kind = 2",
      "verdicts SET reason = reason + 1",
      "verdicts SET reason = 300",
      "verdicts SET signatures = x'313a412c'",
      "verdicts SET detail = detail || 'x'",
      "verdicts SET size = size + 1",
      "verdicts SET scanned_at = scanned_at + 1",
      "verdicts SET scan_ms = scan_ms + 0.001",
      "verdicts SET engine_id = (SELECT id FROM engines WHERE name = 'Other')",
      "verdicts SET engine_id = 99",
      "verdicts SET expires_at = expires_at + 1",
      "verdicts SET expires_at = 0",
      "verdicts SET last_used = last_used - 1",
      "verdicts SET \"check\" = x'0000000000000000'",
      "verdicts SET \"check\" = x''",
      "verdicts SET \"check\" = substr(\"check\", 1, 7)",
      "engines SET id = id + 50",
      "engines SET identity = x'" + other + "' WHERE name = 'ClamAV'",
      "engines SET signature_set = x'" + other + "'",
      "engines SET profile = x'" + other + "'",
      "engines SET profile = x'00'",
      "engines SET name = name || 'x'",
      "engines SET version = '1.4.7'",
      "engines SET label = ''",
      "engines SET built_at = NULL",
      "engines SET built_at = built_at + 1",
      "engines SET signatures = signatures + 1",
      "engines SET test_set = 1",
      "engines SET test_set = 2",
  };
  EngineInfo other_engine = SampleEngine();
  other_engine.name = "Other";
  for (const std::string& edit : edits) {
    {
      auto cache = Open();
      ASSERT_TRUE(Await(cache->Store(
          SampleDigest(9), std::make_shared<const Verdict>(Verdict::Clean(SampleRecord(clock_, other_engine))))));
      ASSERT_TRUE(Await(cache->Store(digest, SampleUnscannable(clock_, Reason::kEncrypted))));
      const auto whole = Await(cache->Find(digest));
      ASSERT_TRUE(whole && *whole != nullptr) << "not repaired before: " << edit;
    }
    Run("UPDATE " + edit);
    auto cache = Open();
    const auto found = Await(cache->Find(digest));
    ASSERT_FALSE(found) << edit;
    EXPECT_EQ(found.error().code, Errc::kCorrupt) << edit;
    EXPECT_THAT(found.error().what, HasSubstr(digest.Hex())) << edit;
    EXPECT_EQ(cache->stats().corrupt_rows, 1u);
  }
}

TEST_F(SqliteVerdictCacheTest, AMovedRowIsCorrupt) {
  Store(*Open(), 1, 1);
  Run("UPDATE verdicts SET digest = x'" + SampleDigest(2).Hex() + "'");
  auto cache = Open();
  EXPECT_FALSE(Has(*cache, 1));
  EXPECT_EQ(Await(cache->Find(SampleDigest(2))).error().code, Errc::kCorrupt);
}

TEST_F(SqliteVerdictCacheTest, UsesNeverMakeACorruptRowRight) {
  auto cache = Open();
  Store(*cache, 1, 1);
  Run("UPDATE verdicts SET size = size + 1");
  clock_.Advance(std::chrono::hours(2));
  cache->Touch(SampleDigest(1));
  Store(*cache, 2, 1);
  EXPECT_EQ(Await(cache->Find(SampleDigest(1))).error().code, Errc::kCorrupt);
}

TEST_F(SqliteVerdictCacheTest, EvictsInBatchesOfOnePercent) {
  auto cache = Open(300);
  Store(*cache, 0, 300);
  EXPECT_EQ(cache->stats().evicted, 0u);
  Store(*cache, 300, 1);
  EXPECT_EQ(cache->stats().evicted, 3u);
  EXPECT_EQ(cache->stats().entries, 298u);
  EXPECT_EQ(Query("SELECT count(*) FROM verdicts"), 298);
}

TEST_F(SqliteVerdictCacheTest, EvictsTheLeastRecentlyUsedFirst) {
  auto cache = Open(100);
  Store(*cache, 0, 100);
  clock_.Advance(std::chrono::hours(1));
  for (std::size_t i = 0; i < 50; ++i) EXPECT_TRUE(Has(*cache, i));  // uses
  for (std::size_t i = 50; i < 90; ++i) cache->Touch(SampleDigest(i));
  Store(*cache, 100, 10);
  for (std::size_t i = 0; i < 110; ++i) EXPECT_EQ(Has(*cache, i), i < 90 || i >= 100) << i;
}

TEST_F(SqliteVerdictCacheTest, WritesAUseAtMostOnceAnHour) {
  auto cache = Open();
  Store(*cache, 1, 1);
  const std::string last_used = "SELECT last_used FROM verdicts WHERE digest = x'" + SampleDigest(1).Hex() + "'";
  const std::int64_t hour = Query(last_used);
  clock_.Advance(std::chrono::hours(1) - milliseconds(1));
  EXPECT_TRUE(Has(*cache, 1));
  Store(*cache, 2, 1);  // what was used before is written with it
  EXPECT_EQ(Query(last_used), hour);
  clock_.Advance(milliseconds(1));
  EXPECT_TRUE(Has(*cache, 1));
  Store(*cache, 2, 1);
  EXPECT_EQ(Query(last_used), hour + 1);
  EXPECT_TRUE(Has(*cache, 1)) << "the check does not match any more";
}

TEST_F(SqliteVerdictCacheTest, RemovesExpiredRowsWithTheNextStore) {
  auto cache = Open();
  Store(*cache, 0, 5);
  clock_.Advance(policy_.max_age - milliseconds(1));
  Store(*cache, 5, 1);
  EXPECT_EQ(Query("SELECT count(*) FROM verdicts"), 6);
  clock_.Advance(std::chrono::minutes(2));
  Store(*cache, 6, 1);
  EXPECT_EQ(Query("SELECT count(*) FROM verdicts"), 2);
  EXPECT_EQ(cache->stats().entries, 2u);
  EXPECT_EQ(cache->stats().evicted, 0u);
}

TEST_F(SqliteVerdictCacheTest, RemovesExpiredRowsWhenIdle) {
  auto cache = Open();
  Store(*cache, 0, 500);
  clock_.Advance(policy_.max_age);
  // The test's time limit is the only one: the writer looks about once a second.
  while (cache->stats().entries > 0) std::this_thread::yield();
  EXPECT_EQ(Query("SELECT count(*) FROM verdicts"), 0);
}

// Starts `count` stores while another connection holds the write lock; returns how each ended.
std::vector<Result<void>> StoreBehindALock(SqliteVerdictCache& cache, const std::string& file, const Clock& clock,
                                           std::size_t count) {
  auto other = MustConnect(file);
  EXPECT_TRUE(other.Execute("BEGIN IMMEDIATE"));
  asio::io_context io;
  std::vector<std::future<Result<void>>> stores;
  for (std::size_t i = 0; i < count; ++i) {
    stores.push_back(asio::co_spawn(io, cache.Store(SampleDigest(i), SampleClean(clock)), asio::use_future));
  }
  io.poll();
  EXPECT_TRUE(other.Execute("COMMIT"));
  io.restart();
  io.run();
  std::vector<Result<void>> results;
  for (auto& store : stores) results.push_back(store.get());
  return results;
}

TEST_F(SqliteVerdictCacheTest, CommitsConcurrentStoresTogether) {
  auto cache = Open();
  for (const auto& stored : StoreBehindALock(*cache, directory_.File(), clock_, 500)) EXPECT_TRUE(stored);
  EXPECT_EQ(cache->stats().writes, 500u);
  EXPECT_LE(cache->stats().write_groups, 2u);
  for (std::size_t i = 0; i < 500; ++i) EXPECT_TRUE(Has(*cache, i));
}

TEST_F(SqliteVerdictCacheTest, RefusesToQueueMoreThanItMay) {
  auto cache = MustOpen({.path = directory_.File(), .policy = policy_, .max_queued = 20}, clock_, log_);
  const auto stored = StoreBehindALock(*cache, directory_.File(), clock_, 22);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_TRUE(stored[i]) << i;
  for (std::size_t i = 20; i < 22; ++i) {
    ASSERT_FALSE(stored[i]) << i;
    EXPECT_EQ(stored[i].error().code, Errc::kOverloaded);
  }
  EXPECT_FALSE(Has(*cache, 20));
  Store(*cache, 20, 1);
}

TEST_F(SqliteVerdictCacheTest, GroupsNeverEvictThemselves) {
  auto cache = Open(10);
  for (const auto& stored : StoreBehindALock(*cache, directory_.File(), clock_, 35)) EXPECT_TRUE(stored);
  EXPECT_EQ(cache->stats().entries, 10u);
  Store(*cache, 100, 1);
  EXPECT_TRUE(Has(*cache, 100));
}

TEST_F(SqliteVerdictCacheTest, ClosingWritesWhatIsQueued) {
  asio::io_context io;
  std::vector<std::future<Result<void>>> stores;
  auto cache = Open();
  {
    auto other = MustConnect(directory_.File());
    ASSERT_TRUE(other.Execute("BEGIN IMMEDIATE"));
    for (std::size_t i = 0; i < 50; ++i) {
      stores.push_back(asio::co_spawn(io, cache->Store(SampleDigest(i), SampleClean(clock_)), asio::use_future));
    }
    io.poll();
    ASSERT_TRUE(other.Execute("COMMIT"));
  }
  cache.reset();
  EXPECT_EQ(Query("SELECT count(*) FROM verdicts"), 50);
  io.restart();
  io.run();
  for (auto& store : stores) EXPECT_TRUE(store.get());
}

TEST_F(SqliteVerdictCacheTest, ACancelledStoreEndsAtOnceAndIsStoredAllTheSame) {
  auto cache = Open();
  {
    auto other = MustConnect(directory_.File());
    ASSERT_TRUE(other.Execute("BEGIN IMMEDIATE"));
    asio::io_context io;
    asio::cancellation_signal cancel;
    bool ended = false;
    asio::co_spawn(
        io, cache->Store(SampleDigest(1), SampleClean(clock_)),
        asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr, Result<void>) { ended = true; }));
    io.poll();
    EXPECT_FALSE(ended);
    cancel.emit(asio::cancellation_type::terminal);
    io.restart();
    io.run();
    EXPECT_TRUE(ended);
    ASSERT_TRUE(other.Execute("COMMIT"));
  }
  Store(*cache, 2, 1);
  EXPECT_TRUE(Has(*cache, 1));
}

TEST_F(SqliteVerdictCacheTest, RefusesHugeVerdicts) {
  auto cache = Open();
  const auto with_detail = [&](std::size_t bytes) {
    return std::make_shared<const Verdict>(
        Verdict::Unscannable(SampleRecord(clock_), Reason::kEncrypted, std::string(bytes, 'x')));
  };
  EXPECT_TRUE(Await(cache->Store(SampleDigest(1), with_detail(256 * 1024 - 128))));
  const auto stored = Await(cache->Store(SampleDigest(1), with_detail(256 * 1024 - 127)));
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().code, Errc::kTooLarge);
}

TEST_F(SqliteVerdictCacheTest, KeepsTheWalSmall) {
  auto cache = Open();
  for (std::size_t i = 0; i < 400; ++i) {
    ASSERT_TRUE(Await(
        cache->Store(SampleDigest(i), std::make_shared<const Verdict>(Verdict::Unscannable(
                                          SampleRecord(clock_), Reason::kEncrypted, std::string(200'000, 'x'))))));
  }
  EXPECT_LT(fs::file_size(directory_.File() + "-wal"), 16u << 20);
  EXPECT_GT(fs::file_size(directory_.File()), 64u << 20);
}

TEST_F(SqliteVerdictCacheTest, ForgetsEnginesThatNoVerdictRefersTo) {
  for (const int unused : {999, 1000}) {
    Store(*Open(), 1, 1);
    Run(
        fmt::format("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
                    "INSERT OR IGNORE INTO engines(identity, signature_set, profile, name, version, label, signatures, "
                    "test_set) SELECT CAST('i' || i AS BLOB), x'', x'', '', '', '', 0, 0 FROM n",
                    unused));
    auto cache = Open();
    EXPECT_EQ(Query("SELECT count(*) FROM engines"), unused == 999 ? 1000 : 1);
    EXPECT_TRUE(Has(*cache, 1));
  }
}

}  // namespace
}  // namespace lazaret::embedded
