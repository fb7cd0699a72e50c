#include "main/serve.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "aio/blocking_pool.h"
#include "base/clock.h"
#include "base/exception.h"
#include "base/log.h"
#include "clamav/scanner_pool.h"
#include "clamd/inspector.h"
#include "clamd/server.h"
#include "embedded/memory_verdict_cache.h"
#include "embedded/sqlite_verdict_cache.h"
#include "http/api.h"
#include "http/server.h"
#include "main/data_directory.h"
#include "main/settings.h"
#include "metrics/metrics.h"
#include "metrics/standard_gauges.h"
#include "service/scan_service.h"
#include "spool/spool.h"

namespace lazaret {
namespace asio = boost::asio;

namespace {

constexpr std::size_t kDiskThreads = 4;
constexpr std::size_t kClamdFileThreads = 4;

metrics::Metrics::Names MetricNames() {
  metrics::Metrics::Names names;
  for (const std::string_view route : http::Api::Routes()) names.routes.push_back(route);
  for (const Errc code : {Errc::kTooLarge, Errc::kOverloaded, Errc::kUnavailable, Errc::kTimeout}) {
    names.refusals.push_back(ToString(code));
  }
  return names;
}

// The parts of a running server, in the order in which they depend on each other.
class App {
 public:
  App(const config::Config& config, Log& log, DataDirectory data,
      std::unique_ptr<embedded::SqliteVerdictCache> stored_verdicts)
      : config_(config),
        log_(log),
        data_(std::move(data)),
        metrics_(MetricNames()),
        stored_verdicts_(std::move(stored_verdicts)),
        verdicts_(clock_, MakeCachePolicy(config), config.cache.memory_entries, stored_verdicts_.get(),
                  [this](const Digest& digest) { stored_verdicts_->Touch(digest); }),
        pool_(MakePoolSettings(config, data_.path()), io_.get_executor(), disk_, clock_, log, metrics_),
        service_(MakeServiceSettings(config), pool_, verdicts_, io_.get_executor(), clock_, log, metrics_) {}

  Result<void> Listen() {
    auto spool = Spool::Open(MakeSpoolSettings(config_, data_.path()), disk_);
    if (!spool) return std::unexpected(spool.error());
    spool_ = *std::move(spool);
    api_ = std::make_unique<http::Api>(
        MakeApiSettings(config_), service_, *spool_, clock_, log_, metrics_, [this] { return metrics_.Render(); },
        [this] { return server_->is_draining(); });
    auto server = http::Server::Listen(MakeServerSettings(config_, ConnectionsThatFit(config_, log_)), *api_, log_);
    if (!server) return std::unexpected(server.error());
    server_ = *std::move(server);
    if (auto listening = ListenForClamd(); !listening) return listening;
    AddGauges();
    return {};
  }

  int Run() {
    asio::signal_set signals(io_, SIGTERM, SIGINT);  // from the first log line on, an end is an orderly one
    LogStart();
    pool_.Start();
    server_->Start();
    if (clamd_server_) clamd_server_->Start();
    int status = 0;
    asio::co_spawn(io_, RunUntilSignal(signals), [&](std::exception_ptr error) {
      if (!error) return;
      status = 1;
      io_.stop();
      log_.Error("server failed", {{"error", WhatOf(error)}});
    });
    io_.run();
    return status;
  }

 private:
  Result<void> ListenForClamd() {
    if (config_.clamd.listen.empty()) return {};
    clamd_files_.emplace(kClamdFileThreads);
    inspector_.emplace(MakeClamdInspectorSettings(config_), service_, *spool_, *clamd_files_, clock_, metrics_);
    auto server = clamd::Server::Listen(MakeClamdServerSettings(config_), *inspector_, log_);
    if (!server) return std::unexpected(server.error());
    clamd_server_ = *std::move(server);
    return {};
  }

  void LogStart() {
    const auto pool = MakePoolSettings(config_, data_.path());
    log_.Info("lazaret starts", {{"version", LAZARET_VERSION}, {"pid", ::getpid()}, {"data", data_.path().native()}});
    log_.Info("listening", {{"addresses", fmt::format("{}", fmt::join(server_->addresses(), " "))},
                            {"threads", Threads(config_)},
                            {"max_connections", config_.http.max_connections}});
    if (clamd_server_) {
      log_.Info("listening for clamd clients",
                {{"addresses", fmt::format("{}", fmt::join(clamd_server_->addresses(), " "))},
                 {"allow_paths", config_.clamd.allow_paths.size()},
                 {"max_connections", config_.clamd.max_connections}});
    }
    log_.Info("loading signatures", {{"from", config_.signatures.test_set ? "the built-in EICAR test set"
                                                                          : pool.signature_directory.native()},
                                     {"scanners", pool.slots - 1},
                                     {"deadline_s", static_cast<double>(config_.engine.deadline.count()) / 1000}});
    log_.Info("verdict cache", {{"entries", stored_verdicts_->stats().entries},
                                {"max_entries", config_.cache.max_entries},
                                {"in_memory", config_.cache.memory_entries}});
  }

  void AddGauges() {
    metrics::AddStandardGauges(
        metrics_,
        {.queue_length = [this] { return static_cast<double>(service_.Status().waiting); },
         .queue_oldest_wait_seconds =
             [this] { return static_cast<double>(service_.Status().oldest_wait.count()) / 1000; },
         .scanners =
             [this] {
               const auto counts = pool_.counts();
               return metrics::ScannerCounts{counts.idle, counts.busy, counts.starting};
             },
         .http_connections = [this] { return static_cast<double>(server_->connections()); },
         .spool_memory_bytes = [this] { return static_cast<double>(spool_->memory_used()); },
         .spool_disk_bytes = [this] { return static_cast<double>(spool_->disk_used()); },
         .cache_entries = [this] { return static_cast<double>(stored_verdicts_->stats().entries); },
         .engine = [this] { return pool_.Current(); }},
        clock_, LAZARET_VERSION);
  }

  aio::Task<> RunUntilSignal(asio::signal_set& signals) {
    const auto [failed, number] = co_await signals.async_wait(asio::as_tuple(asio::use_awaitable));
    log_.Info("ending", {{"signal", number == SIGINT ? "SIGINT" : "SIGTERM"},
                         {"connections", server_->connections()},
                         {"drain_s", static_cast<double>(config_.drain_timeout.count()) / 1000}});
    // A second signal ends the process at once; the kernel ends the scanners with it.
    signals.clear();
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    const SteadyTime drained = clock_.SteadyNow() + config_.drain_timeout;
    if (clamd_server_) {
      using namespace asio::experimental::awaitable_operators;
      co_await (server_->Drain(drained) && clamd_server_->Drain(drained));
    } else {
      co_await server_->Drain(drained);
    }
    co_await service_.Drain(clock_.SteadyNow());
    server_->Stop();
    if (clamd_server_) clamd_server_->Stop();
    co_await pool_.Stop();
    log_.Info("ended");
  }

  const config::Config& config_;
  Log& log_;
  const SystemClock clock_;
  DataDirectory data_;
  asio::io_context io_{1};  // of the engine and the service: the main thread's
  metrics::Metrics metrics_;
  aio::BlockingPool disk_{kDiskThreads};
  std::unique_ptr<embedded::SqliteVerdictCache> stored_verdicts_;
  embedded::MemoryVerdictCache verdicts_;
  clamav::ScannerPool pool_;
  std::unique_ptr<Spool> spool_;  // outlives the contents in the service
  ScanService service_;
  std::unique_ptr<http::Api> api_;
  std::unique_ptr<http::Server> server_;
  std::optional<aio::BlockingPool> clamd_files_;  // files of clients may lie on a file system that hangs
  std::optional<clamd::Inspector> inspector_;
  std::unique_ptr<clamd::Server> clamd_server_;
};

int RefuseToStart(Log& log, const Error& error) {
  log.Error("cannot start", {{"error", error.what}});
  return 1;
}

}  // namespace

int RunServer(const config::Config& config) {
  std::signal(SIGPIPE, SIG_IGN);
  Log log(config.log.format, config.log.level);
  ::umask(0077);  // verdicts and contents are nobody else's business
  const auto program = ScannerProgram(config);
  if (::access(program.c_str(), X_OK) != 0) {
    return RefuseToStart(log, {Errc::kUnavailable, fmt::format("cannot run the scanner program {}: it belongs beside "
                                                               "lazaret, or name it with engine.scanner_program",
                                                               program.native())});
  }
  auto data = DataDirectory::Open(config.data);
  if (!data) return RefuseToStart(log, data.error());
  const SystemClock clock;
  auto verdicts = embedded::SqliteVerdictCache::Open({.path = (data->path() / "verdicts.db").native(),
                                                      .max_entries = config.cache.max_entries,
                                                      .policy = MakeCachePolicy(config)},
                                                     clock, log);
  if (!verdicts) return RefuseToStart(log, verdicts.error());
  App app(config, log, *std::move(data), *std::move(verdicts));
  if (auto listening = app.Listen(); !listening) return RefuseToStart(log, listening.error());
  return app.Run();
}

}  // namespace lazaret
