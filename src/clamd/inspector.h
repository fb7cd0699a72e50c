#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "clamd/finding.h"
#include "clamd/path_walk.h"
#include "core/content.h"
#include "core/telemetry.h"
#include "service/scan_service.h"
#include "spool/spool.h"

namespace lazaret::clamd {

struct InspectorSettings {
  UnscannableAs unscannable = UnscannableAs::kError;
  milliseconds request_timeout{300'000};  // from the end of an upload to its answer
  WalkSettings paths;
  bool accepts_reload = true;       // RELOAD is answered with RELOADING; otherwise COMMAND UNAVAILABLE
  std::function<void()> on_reload;  // then; may be empty. Any thread calls it
};

// What the commands of all connections ask: turns contents into findings, and knows the figures of the server. Any
// executor; what it borrows outlives it.
class Inspector {
 public:
  // `files` reads files that belong to others, which may block for as long as their file system does.
  Inspector(InspectorSettings settings, ScanService& service, Spool& spool, aio::BlockingPool& files,
            const Clock& clock, Telemetry& telemetry);

  // Whether a content of unknown size would be refused now: the answer then.
  std::optional<Finding> RefuseEarly() const;
  SpoolWriter NewWriter() { return spool_.NewWriter(std::nullopt); }
  // `since` is when the upload began.
  aio::Task<Finding> InspectUpload(SpoolWriter writer, SteadyTime since);
  // Of an upload that failed on its way in.
  Finding Refuse(const Error& error) const;
  // `fd` stays the caller's.
  aio::Task<Finding> InspectFile(int fd);

  // "ClamAV 1.4.6/..."; an error while no engine is ready.
  Result<std::string> Version() const;
  std::string Stats(std::size_t idle_timeout_s) const;
  // How many contents are worth having under way at once.
  std::size_t Slots() const;

  const InspectorSettings& settings() const { return settings_; }
  aio::BlockingPool& files() { return files_; }
  const Clock& clock() const { return clock_; }

 private:
  aio::Task<Finding> Inspect(ContentPtr content);

  const InspectorSettings settings_;
  ScanService& service_;
  Spool& spool_;
  aio::BlockingPool& files_;
  const Clock& clock_;
  Telemetry& telemetry_;
  std::atomic<std::size_t> under_way_ = 0;
};

}  // namespace lazaret::clamd
