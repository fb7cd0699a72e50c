#pragma once

#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

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

}  // namespace lazaret::embedded
