#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "config/config.h"
#include "core/telemetry.h"
#include "metrics/standard_gauges.h"
#include "service/scan_service.h"
#include "spool/spool.h"

namespace lazaret {

// What the clamd front door of a server is made with; all of it outlives the door.
struct ClamdParts {
  const config::Config& config;
  ScanService& scans;
  Spool& spool;
  const Clock& clock;
  Log& log;
  Telemetry& telemetry;
  std::function<void()> on_reload;  // any thread calls it; may be empty
};

// The front door for clients of clamd. When the configuration names no address for it there is none, and nothing of the
// below does anything.
class ClamdSide {
 public:
  // Fails as clamd::Listen does.
  static Result<std::unique_ptr<ClamdSide>> Listen(const ClamdParts& parts);
  ~ClamdSide();

  void Start();
  // Accepts nothing more and waits until what is under way has been answered, at most until `deadline`.
  aio::Task<> Drain(SteadyTime deadline);
  // Drops what is left.
  void Stop();
  void LogStart() const;
  // Any thread.
  std::size_t connections() const;
  // Adds where its gauge gets its value.
  metrics::GaugeSources AddTo(metrics::GaugeSources sources) const;

 private:
  struct Door;
  ClamdSide(const config::Config& config, Log& log);

  const config::Config& config_;
  Log& log_;
  std::unique_ptr<Door> door_;
};

}  // namespace lazaret
