#include "main/engine_side.h"

#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clamav/clamd_pool.h"
#include "clamav/scanner_pool.h"
#include "main/settings.h"

namespace lazaret {
namespace {

double Seconds(milliseconds time) { return static_cast<double>(time.count()) / 1000; }

class EmbeddedEngine final : public EngineSide {
 public:
  explicit EmbeddedEngine(const EngineParts& parts)
      : config_(parts.config),
        log_(parts.log),
        settings_(MakePoolSettings(parts.config, parts.data)),
        pool_(settings_, parts.executor, parts.disk, parts.clock, parts.log, parts.telemetry) {}

  Engine& engine() override { return pool_; }
  void Start() override { pool_.Start(); }
  aio::Task<> Stop() override { co_await pool_.Stop(); }
  void LogStart() const override {
    log_.Info("loading signatures", {{"from", config_.signatures.test_set ? "the built-in EICAR test set"
                                                                          : settings_.signature_directory.native()},
                                     {"scanners", settings_.slots - 1},
                                     {"deadline_s", Seconds(config_.engine.deadline)}});
  }
  metrics::GaugeSources AddTo(metrics::GaugeSources sources) override {
    sources.scanners = [this] {
      const auto counts = pool_.counts();
      return metrics::ScannerCounts{counts.idle, counts.busy, counts.starting};
    };
    return sources;
  }

 private:
  const config::Config& config_;
  Log& log_;
  const clamav::ScannerPoolSettings settings_;
  clamav::ScannerPool pool_;
};

class ClamdEngine final : public EngineSide {
 public:
  explicit ClamdEngine(const EngineParts& parts)
      : config_(parts.config),
        log_(parts.log),
        pool_(MakeClamdSettings(parts.config), parts.executor, parts.disk, parts.clock, parts.log) {}

  Engine& engine() override { return pool_; }
  void Start() override { pool_.Start(); }
  aio::Task<> Stop() override { co_await pool_.Stop(); }
  void LogStart() const override {
    std::vector<std::string> servers;
    for (const auto& server : pool_.Servers()) servers.push_back(server.name);
    log_.Info("using clamd servers", {{"servers", fmt::format("{}", fmt::join(servers, " "))},
                                      {"connections", pool_.Slots()},
                                      {"deadline_s", Seconds(config_.engine.deadline)}});
  }
  metrics::GaugeSources AddTo(metrics::GaugeSources sources) override {
    sources.clamd_servers = [this] {
      std::vector<metrics::ClamdServerStatus> all;
      for (const auto& one : pool_.Servers()) all.push_back({one.name, one.up, one.in_flight});
      return all;
    };
    return sources;
  }

 private:
  const config::Config& config_;
  Log& log_;
  clamav::ClamdPool pool_;
};

class RemoteEngine final : public EngineSide {
 public:
  explicit RemoteEngine(const EngineParts& parts)
      : log_(parts.log),
        engine_(parts.queue, parts.board, parts.newest_worker, parts.config.queue.max_waiting, parts.clock) {}

  Engine& engine() override { return engine_; }
  void Start() override {}
  aio::Task<> Stop() override { co_return; }
  void LogStart() const override { log_.Info("scanning is left to the workers that share Redis"); }
  metrics::GaugeSources AddTo(metrics::GaugeSources sources) override { return sources; }

 private:
  Log& log_;
  WorkersEngine engine_;
};

}  // namespace

Result<void> EngineSide::Check(const config::Config& config) {
  if (config.EngineInUse() != config::EngineKind::kEmbedded) return {};
  const auto program = ScannerProgram(config);
  if (::access(program.c_str(), X_OK) == 0) return {};
  return Fail(Errc::kUnavailable,
              fmt::format("cannot run the scanner program {}: it belongs beside lazaret, or name it "
                          "with engine.scanner_program",
                          program.native()));
}

std::unique_ptr<EngineSide> EngineSide::Make(const EngineParts& parts) {
  switch (parts.config.EngineInUse()) {
    case config::EngineKind::kClamd: return std::make_unique<ClamdEngine>(parts);
    case config::EngineKind::kWorkers: return std::make_unique<RemoteEngine>(parts);
    default: return std::make_unique<EmbeddedEngine>(parts);
  }
}

}  // namespace lazaret
