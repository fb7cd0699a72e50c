#pragma once

#include <filesystem>
#include <memory>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "config/config.h"
#include "core/engine.h"
#include "core/job_queue.h"
#include "core/telemetry.h"
#include "metrics/standard_gauges.h"
#include "service/done_board.h"
#include "service/workers_engine.h"

namespace lazaret {

// What the engine of a server is made with; all of it outlives the engine.
struct EngineParts {
  const config::Config& config;
  const std::filesystem::path& data;
  aio::BlockingPool& disk;
  aio::Executor executor;
  const Clock& clock;
  Log& log;
  Telemetry& telemetry;
  // Of the engine that leaves scanning to other servers.
  JobQueue& queue;
  DoneBoard& board;
  WorkersEngine::NewestEngine newest_worker;
};

// The engine that the configuration names: scanner processes of this server, clamd servers, or workers that are reached
// through the queue.
class EngineSide {
 public:
  // Whether the engine could be started at all: its program is there.
  static Result<void> Check(const config::Config& config);
  static std::unique_ptr<EngineSide> Make(const EngineParts& parts);

  virtual ~EngineSide() = default;
  virtual Engine& engine() = 0;
  virtual void Start() = 0;
  virtual aio::Task<> Stop() = 0;
  virtual void LogStart() const = 0;
  // Adds where the gauges of this kind of engine get their values.
  virtual metrics::GaugeSources AddTo(metrics::GaugeSources sources) = 0;
};

}  // namespace lazaret
