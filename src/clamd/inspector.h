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

#include "aio/gate.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "clamd/file_pool.h"
#include "clamd/finding.h"
#include "clamd/path_walk.h"
#include "core/content.h"
#include "core/telemetry.h"
#include "service/scan_service.h"
#include "spool/spool.h"

namespace lazaret::clamd {

struct InspectorSettings {
  UnscannableAs unscannable = UnscannableAs::kError;
  milliseconds request_timeout{300'000};  // from the end of an upload to its answer; for reading a file
  WalkSettings paths;
  std::size_t max_walks = 8;        // directories that are walked through at once
  bool accepts_reload = true;       // RELOAD is answered with RELOADING; otherwise COMMAND UNAVAILABLE
  std::function<void()> on_reload;  // then; may be empty. Any thread calls it
};

// What the commands of all connections ask: turns contents into findings, and knows the figures of the server. Any
// executor; what it borrows outlives it.
class Inspector {
 public:
  Inspector(InspectorSettings settings, ScanService& service, Spool& spool, FilePool& files, const Clock& clock,
            Log& log, Telemetry& telemetry);

  // Whether a content of unknown size would be refused now: the answer then.
  std::optional<Finding> RefuseEarly() const;
  SpoolWriter NewWriter() { return spool_.NewWriter(std::nullopt); }
  // An answer in any case: what is thrown is reported, and an error. `since` is when the upload began.
  aio::Task<Finding> InspectUpload(SpoolWriter writer, SteadyTime since);
  // Of an upload that failed on its way in.
  Finding Refuse(const Error& error) const;
  aio::Task<Finding> InspectFile(KeptFd fd, FileShare files);
  // Logs what was thrown while a client waited.
  void Report(const Error& error) const;

  // "ClamAV 1.4.6/..."; an error while no engine is ready.
  Result<std::string> Version() const;
  std::string Stats(std::size_t idle_timeout_s) const;
  // How many contents are worth having under way at once.
  std::size_t Slots() const;

  const InspectorSettings& settings() const { return settings_; }
  // For one more connection.
  FileShare MakeFileShare() { return files_.MakeShare(); }
  aio::Gate& walks() { return walks_; }
  // By when what is begun now must be over.
  SteadyTime Deadline() const { return clock_.SteadyNow() + settings_.request_timeout; }
  const Clock& clock() const { return clock_; }

 private:
  aio::Task<Finding> Settled(aio::Task<Finding> task) const;
  aio::Task<Finding> Finish(SpoolWriter writer);
  aio::Task<Finding> ReadAndInspect(KeptFd fd, FileShare files);
  aio::Task<Finding> Inspect(ContentPtr content);

  const InspectorSettings settings_;
  ScanService& service_;
  Spool& spool_;
  FilePool& files_;
  const Clock& clock_;
  Log& log_;
  Telemetry& telemetry_;
  aio::Gate walks_;  // how many directories are walked through at once, for what all walks remember together
  std::atomic<std::size_t> under_way_ = 0;
};

}  // namespace lazaret::clamd
