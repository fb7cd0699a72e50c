#pragma once

#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/verdict_samples.h"
#include "embedded/sqlite.h"
#include "embedded/sqlite_verdict_cache.h"

namespace lazaret::embedded {

// A directory for one test, removed with everything in it.
class TestDirectory {
 public:
  TestDirectory() {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("no temporary directory");
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string File() const { return path_ + "/verdicts.db"; }

 private:
  std::string path_ = testing::TempDir() + "lazaret-stores-XXXXXX";
};

inline std::unique_ptr<SqliteVerdictCache> MustOpen(SqliteVerdictCache::Settings settings, const Clock& clock,
                                                    Log& log) {
  auto cache = SqliteVerdictCache::Open(std::move(settings), clock, log);
  if (!cache) throw std::runtime_error(cache.error().what);
  return *std::move(cache);
}

// A second connection to a cache's file, as an operator with the sqlite3 command would have.
inline SqliteConnection MustConnect(const std::string& file) {
  auto connection = SqliteConnection::Open(file, seconds(5));
  if (!connection) throw std::runtime_error(connection.error().what);
  return *std::move(connection);
}

// A cache in a directory of its own, that can be closed and opened again.
class SqliteVerdictCacheTest : public testing::Test {
 protected:
  std::unique_ptr<SqliteVerdictCache> Open(std::size_t max_entries = 10'000) {
    return MustOpen({.path = directory_.File(), .max_entries = max_entries, .policy = policy_}, clock_, log_);
  }
  Error OpenError(const std::string& file) {
    const auto cache = SqliteVerdictCache::Open({.path = file}, clock_, log_);
    return cache ? Error{Errc::kInternal, "no error"} : cache.error();
  }
  void Store(SqliteVerdictCache& cache, std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) {
      const auto stored = Await(cache.Store(SampleDigest(i), SampleClean(clock_)));
      ASSERT_TRUE(stored) << stored.error().what;
    }
  }
  static bool Has(SqliteVerdictCache& cache, std::size_t number) {
    const auto found = Await(cache.Find(SampleDigest(number)));
    EXPECT_TRUE(found) << found.error().what;
    return found && *found != nullptr;
  }
  std::int64_t Query(const std::string& sql) { return MustConnect(directory_.File()).QueryInteger(sql).value(); }
  void Run(const std::string& sql) {
    auto connection = MustConnect(directory_.File());
    const auto done = connection.Execute(sql.c_str());
    ASSERT_TRUE(done) << sql << ": " << done.error().what;
    ASSERT_GT(connection.ChangedRows(), 0) << sql;
  }
  std::vector<std::string> FilesAside() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("verdicts.db.corrupt-")) names.push_back(name);
    }
    return names;
  }

  FakeClock clock_;
  CachePolicy policy_{};
  Log log_{LogFormat::kText, LogLevel::kError};
  TestDirectory directory_;
};

}  // namespace lazaret::embedded
