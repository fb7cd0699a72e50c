#pragma once

#include <memory>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "config/config.h"
#include "core/engine.h"
#include "core/load_turn.h"
#include "core/override_board.h"
#include "core/override_store.h"
#include "core/scan_claims.h"
#include "core/verdict_cache.h"
#include "main/job_store.h"
#include "metrics/signature_gauges.h"
#include "service/done_board.h"

namespace lazaret {

// What the shared side of a server is made with; all of it outlives the side.
struct SharedParts {
  const config::Config& config;
  aio::BlockingPool& disk;
  aio::Executor executor;
  const Clock& clock;
  Log& log;
};

// What a server shares with others through Redis: verdicts, jobs, who scans what, and who is there.
class SharedSide {
 public:
  // Begins to connect. Fails only for settings that cannot be, such as a file that is not there.
  static Result<std::unique_ptr<SharedSide>> Make(const SharedParts& parts);
  virtual ~SharedSide() = default;

  virtual VerdictCache& verdicts() = 0;
  virtual ScanClaims& claims() = 0;
  // Those in Redis, of which `board` is told; it and this side must outlive the store.
  virtual std::unique_ptr<OverrideStore> Overrides(OverrideBoard& board) = 0;
  // What this server is called.
  virtual const std::string& node() const = 0;
  // Those who wait on `board` hear of jobs that are finished on any server; it must outlive the queue.
  virtual OpenJobStore Jobs(DoneBoard& board) = 0;
  // Of the workers that are there; null while there is none. Any thread.
  virtual EngineInfoPtr NewestEngine() const = 0;
  // For /v1/info. Any thread.
  virtual std::string Describe() const = 0;
  // The servers that are there. Any thread.
  virtual std::vector<metrics::NodeFigures> Nodes() const = 0;
  // The turn to load signatures, one among all servers.
  virtual AskForTurn Turns() = 0;

  // Tells the others that this server is there, and with which engine. Executor only.
  virtual void Start(const Engine& engine) = 0;
  // Tells them that it takes no jobs any more. Executor only.
  virtual void StopTaking() = 0;
  // After everything that uses it.
  virtual aio::Task<> Stop() = 0;
};

}  // namespace lazaret
