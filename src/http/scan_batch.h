#pragma once

#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aio/task.h"
#include "aio/task_group.h"
#include "core/content.h"
#include "service/scan_service.h"

namespace lazaret::http {

// The files of one multipart request: each is scanned while the next ones arrive, a few at a time. One executor.
// Destroying a batch cancels what is still being scanned.
class ScanBatch {
 public:
  struct Entry {
    Digest id;
    std::string name;
    std::optional<Answer> answer;
  };

  // Scans run as tasks of `tasks`, at most `most_at_once`.
  ScanBatch(ScanService& service, aio::TaskGroup& tasks, std::size_t most_at_once);
  ~ScanBatch();
  ScanBatch(const ScanBatch&) = delete;
  ScanBatch& operator=(const ScanBatch&) = delete;

  // Takes one more file; waits while too many are being scanned. Fails with the first failure of any file.
  aio::Task<Result<void>> Add(std::string name, ContentPtr content, SteadyTime deadline);
  // All files in the order in which they were added; every answer is there.
  aio::Task<Result<std::vector<Entry>>> Finish();

 private:
  struct State;
  static aio::Task<> ScanOne(std::shared_ptr<State> state, std::size_t index, ContentPtr content, SteadyTime deadline);
  aio::Task<> UntilAtMost(std::size_t running);

  aio::TaskGroup& tasks_;
  const std::size_t most_at_once_;
  std::shared_ptr<State> state_;  // shared with the scans, which may end after the batch
  std::vector<std::function<void()>> cancels_;
};

}  // namespace lazaret::http
