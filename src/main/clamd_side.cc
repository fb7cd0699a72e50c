#include "main/clamd_side.h"

#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clamd/file_pool.h"
#include "clamd/inspector.h"
#include "clamd/server.h"
#include "main/settings.h"

namespace lazaret {
namespace {

clamd::InspectorSettings Settings(const ClamdParts& parts) {
  clamd::InspectorSettings settings = MakeClamdInspectorSettings(parts.config);
  settings.on_reload = parts.on_reload;
  return settings;
}

}  // namespace

struct ClamdSide::Door {
  explicit Door(const ClamdParts& parts)
      : inspector(Settings(parts), parts.scans, parts.spool, files, parts.clock, parts.log, parts.telemetry) {}

  clamd::FilePool files{{}};
  clamd::Inspector inspector;
  std::unique_ptr<net::Server> server;
};

ClamdSide::ClamdSide(const config::Config& config, Log& log) : config_(config), log_(log) {}

ClamdSide::~ClamdSide() = default;

Result<std::unique_ptr<ClamdSide>> ClamdSide::Listen(const ClamdParts& parts) {
  std::unique_ptr<ClamdSide> side(new ClamdSide(parts.config, parts.log));
  if (parts.config.clamd.listen.empty()) return side;
  auto door = std::make_unique<Door>(parts);
  auto server = clamd::Listen(MakeClamdServerSettings(parts.config), door->inspector, parts.log);
  if (!server) return std::unexpected(server.error());
  door->server = *std::move(server);
  side->door_ = std::move(door);
  return side;
}

void ClamdSide::Start() {
  if (door_) door_->server->Start();
}

aio::Task<> ClamdSide::Drain(SteadyTime deadline) {
  if (door_) co_await door_->server->Drain(deadline);
}

void ClamdSide::Stop() {
  if (!door_) return;
  door_->server->Stop();
  door_->files.Stop();
}

void ClamdSide::LogStart() const {
  if (!door_) return;
  log_.Info("listening for clamd clients",
            {{"addresses", fmt::format("{}", fmt::join(door_->server->addresses(), " "))},
             {"allow_paths", config_.clamd.allow_paths.size()},
             {"max_connections", config_.clamd.max_connections}});
}

std::size_t ClamdSide::connections() const { return door_ ? door_->server->connections() : 0; }

metrics::GaugeSources ClamdSide::AddTo(metrics::GaugeSources sources) const {
  if (door_) sources.clamd_connections = [this] { return static_cast<double>(connections()); };
  return sources;
}

}  // namespace lazaret
