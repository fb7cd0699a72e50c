#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/job_samples.h"
#include "embedded/sqlite_job_queue.h"
#include "embedded/sqlite_samples.h"

namespace lazaret::embedded {

inline std::unique_ptr<SqliteJobQueue> MustOpenQueue(SqliteJobQueue::Settings settings, aio::BlockingPool& pool,
                                                     const Clock& clock, Log& log) {
  auto queue = SqliteJobQueue::Open(std::move(settings), pool, clock, log);
  if (!queue) throw std::runtime_error(queue.error().what);
  return *std::move(queue);
}

// A queue in a directory of its own, that can be closed and opened again.
class SqliteJobQueueTest : public testing::Test {
 protected:
  SqliteJobQueueTest() {
    settings_.file = File();
    settings_.directory = directory_.path() + "/contents";
  }
  std::string File() const { return directory_.path() + "/queue.db"; }
  void Open() {
    queue_.reset();
    queue_ = MustOpenQueue(settings_, pool_, clock_, log_);
    jobs_ = std::make_unique<JobDriver>(*queue_, clock_);
  }
  void Close() { queue_.reset(); }
  Error OpenError() {
    const auto queue = SqliteJobQueue::Open(settings_, pool_, clock_, log_);
    return queue ? Error{Errc::kInternal, "no error"} : queue.error();
  }
  std::int64_t Query(const std::string& sql) { return MustConnect(File()).QueryInteger(sql).value(); }
  void Run(const std::string& sql) {
    auto connection = MustConnect(File());
    const auto done = connection.Execute(sql.c_str());
    ASSERT_TRUE(done) << sql << ": " << done.error().what;
  }
  // The names of the content files, once everything that was to be deleted is.
  std::vector<std::string> Files() {
    Await(pool_.Run([] { return 0; }));  // its one thread has done what came before
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(settings_.directory)) {
      names.push_back(entry.path().filename());
    }
    std::ranges::sort(names);
    return names;
  }

  FakeClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  TestDirectory directory_;
  aio::BlockingPool pool_{1};
  SqliteJobQueue::Settings settings_;
  std::unique_ptr<SqliteJobQueue> queue_;
  std::unique_ptr<JobDriver> jobs_;
};

}  // namespace lazaret::embedded
