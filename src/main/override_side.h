#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "config/config.h"
#include "core/override_board.h"
#include "core/override_store.h"
#include "http/override_endpoint.h"
#include "main/shared_side.h"
#include "service/override_upkeep.h"

namespace lazaret {

// What the overrides of a server are kept with; all of it outlives them.
struct OverrideParts {
  const config::Config& config;
  const std::filesystem::path& data;
  SharedSide* shared;  // null for a server of its own
  aio::BlockingPool& disk;
  aio::Executor executor;
  const Clock& clock;
  Log& log;
};

// The overrides of a server: in its data directory, or shared with others.
class OverrideSide {
 public:
  // A server of its own does not start without those that it had. One that shares them starts without, when they cannot
  // be had now, and says so.
  static aio::Task<Result<std::unique_ptr<OverrideSide>>> Open(OverrideParts parts);

  const OverrideBoard& board() const { return board_; }
  http::OverrideEndpoint::Parts ForOperator();

  // Executor only.
  void Start() { upkeep_->Start(); }
  aio::Task<> Stop() { return upkeep_->Stop(); }

 private:
  explicit OverrideSide(const OverrideParts& parts) : parts_(parts), board_(parts.clock, parts.log) {}

  const OverrideParts parts_;
  OverrideBoard board_;
  std::unique_ptr<OverrideStore> store_;
  std::optional<OverrideUpkeep> upkeep_;
};

}  // namespace lazaret
