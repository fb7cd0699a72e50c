#include "main/serve.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "aio/blocking_pool.h"
#include "base/clock.h"
#include "base/exception.h"
#include "base/log.h"
#include "embedded/memory_verdict_cache.h"
#include "embedded/sqlite_verdict_cache.h"
#include "http/api.h"
#include "http/control_api.h"
#include "http/server.h"
#include "main/async_side.h"
#include "main/clamd_side.h"
#include "main/control_server.h"
#include "main/data_directory.h"
#include "main/engine_side.h"
#include "main/override_side.h"
#include "main/settings.h"
#include "main/shared_side.h"
#include "main/signature_age_guard.h"
#include "main/signature_side.h"
#include "metrics/metrics.h"
#include "metrics/standard_gauges.h"
#include "service/late_job_queue.h"
#include "service/scan_service.h"
#include "spool/spool.h"

namespace lazaret {
namespace asio = boost::asio;

namespace {

constexpr std::size_t kDiskThreads = 4;

metrics::Metrics::Names MetricNames() {
  metrics::Metrics::Names names;
  for (const auto& routes : {http::Api::Routes(), http::ControlApi::Routes()}) {
    for (const std::string_view route : routes) {
      if (std::ranges::find(names.routes, route) == names.routes.end()) names.routes.push_back(route);
    }
  }
  for (const Errc code : {Errc::kTooLarge, Errc::kOverloaded, Errc::kUnavailable, Errc::kTimeout}) {
    names.refusals.push_back(ToString(code));
  }
  return names;
}

// The parts of a running server, in the order in which they depend on each other.
class App {
 public:
  App(const config::Config& config, Log& log, DataDirectory data,
      std::unique_ptr<embedded::SqliteVerdictCache> own_verdicts)
      : config_(config),
        log_(log),
        data_(std::move(data)),
        metrics_(MetricNames()),
        own_verdicts_(std::move(own_verdicts)) {}

  Result<void> Listen() {
    if (config_.IsShared()) {
      auto shared = SharedSide::Make({config_, disk_, io_.get_executor(), clock_, log_});
      if (!shared) return std::unexpected(shared.error());
      shared_ = *std::move(shared);
    }
    auto overrides = RunUntilReady(
        OverrideSide::Open({config_, data_.path(), shared_.get(), disk_, io_.get_executor(), clock_, log_}));
    if (!overrides) return std::unexpected(overrides.error());
    overrides_ = *std::move(overrides);
    MakeScanning();
    auto spool = Spool::Open(MakeSpoolSettings(config_, data_.path()), disk_);
    if (!spool) return std::unexpected(spool.error());
    spool_ = *std::move(spool);
    auto async = RunUntilReady(AsyncSide::Open({config_, JobsToOpen(), queue_, engine_->engine(), *service_, board_,
                                                io_.get_executor(), clock_, log_, metrics_}));
    if (!async) return std::unexpected(async.error());
    async_ = *std::move(async);
    api_ = std::make_unique<http::Api>(
        MakeApiSettings(config_), *service_, async_->jobs(), *spool_,
        [this](std::string_view url) { return async_->CheckCallback(url); }, clock_, log_, metrics_, PagesToShow());
    auto server = http::Listen(MakeServerSettings(config_, ConnectionsThatFit(config_, log_)), *api_, log_);
    if (!server) return std::unexpected(server.error());
    server_ = *std::move(server);
    auto clamd = ClamdSide::Listen({config_, *service_, *spool_, clock_, log_, metrics_, ReloadWhenAsked()});
    if (!clamd) return std::unexpected(clamd.error());
    clamd_ = *std::move(clamd);
    auto control = ControlServer::Listen(data_.path(), queue_, overrides_->ForOperator(),
                                         SignaturesForOperator(config_, engine_->signatures(), *age_, clock_), clock_,
                                         log_, metrics_);
    if (!control) return std::unexpected(control.error());
    control_ = *std::move(control);
    AddGauges();
    return {};
  }

  // Ends what Listen has begun: for one that failed.
  void GiveUp() { RunUntilReady(EndWhatWasBegun()); }

  int Run() {
    asio::signal_set signals(io_, SIGTERM, SIGINT);  // from the first log line on, an end is an orderly one
    LogStart();
    engine_->Start();
    age_->Start();
    if (shared_ != nullptr) shared_->Start(engine_->engine());
    overrides_->Start();
    async_->Start();
    server_->Start();
    clamd_->Start();
    control_->Start();
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
  aio::Task<bool> EndWhatWasBegun() {
    if (overrides_ != nullptr) co_await overrides_->Stop();
    if (async_ != nullptr) co_await async_->Close();
    if (shared_ != nullptr) co_await shared_->Stop();
    co_return true;
  }

  void MakeScanning() {
    VerdictCache* const stored = shared_ != nullptr ? &shared_->verdicts() : own_verdicts_.get();
    verdicts_ = std::make_unique<embedded::MemoryVerdictCache>(
        clock_, MakeCachePolicy(config_), config_.cache.memory_entries, stored,
        [this](const Digest& digest) {
          if (own_verdicts_ != nullptr) own_verdicts_->Touch(digest);
        },
        shared_ != nullptr ? embedded::Backing::kShared : embedded::Backing::kOwn);
    engine_ = EngineSide::Make({config_, data_.path(), disk_, io_.get_executor(), clock_, log_, metrics_, queue_,
                                board_, [this] { return shared_->NewestEngine(); }});
    if (shared_ != nullptr && config_.signatures.turns && engine_->signatures() != nullptr) {
      engine_->signatures()->SetGate(shared_->Turns());
    }
    age_ =
        std::make_unique<SignatureAgeGuard>(engine_->engine(), MakeAgeLimit(config_), io_.get_executor(), clock_, log_);
    service_ =
        std::make_unique<ScanService>(MakeServiceSettings(config_), engine_->engine(), *verdicts_, board_,
                                      io_.get_executor(), clock_, log_, metrics_, ClaimsToAsk(), &overrides_->board());
  }

  http::Api::Sources PagesToShow() {
    return {.metrics = [this] { return metrics_.Render(); },
            .is_draining = [this] { return server_->is_draining(); },
            .signatures = [this] { return DescribeSignatures(engine_->signatures(), *age_, clock_); },
            .fleet = shared_ != nullptr ? [this] { return shared_->Describe(); } : std::function<std::string()>(),
            .old_signatures = [this] { return age_->Find(); }};
  }

  metrics::SignatureSources SignaturesToCount() {
    metrics::SignatureSources sources{.engine = [this] { return engine_->engine().Current(); },
                                      .too_old = [this] { return age_->Find().has_value(); },
                                      .figures = {},
                                      .nodes = {}};
    if (const auto* const signatures = engine_->signatures()) {
      sources.figures = [signatures] { return FiguresOf(signatures->Status()); };
    }
    if (shared_ != nullptr) sources.nodes = [this] { return shared_->Nodes(); };
    return sources;
  }

  // What clamd's RELOAD does, which does not wait for it.
  std::function<void()> ReloadWhenAsked() {
    clamav::SignatureManager* const signatures = engine_->signatures();
    if (signatures == nullptr) return {};
    return [signatures] { signatures->RequestReload(); };
  }

  // A server without an engine hands scans to the queue, which makes one job of the same content.
  ScanClaims* ClaimsToAsk() {
    const bool scans = config_.EngineInUse() != config::EngineKind::kWorkers;
    return shared_ != nullptr && scans ? &shared_->claims() : nullptr;
  }

  OpenJobStore JobsToOpen() {
    if (shared_ == nullptr) return EmbeddedJobs(config_, data_.path(), disk_, clock_, log_);
    return shared_->Jobs(board_);
  }

  // Turns the loop before it is run for good.
  template <class T>
  T RunUntilReady(aio::Task<T> task) {
    auto future = asio::co_spawn(io_, std::move(task), asio::use_future);
    while (future.wait_for(seconds(0)) != std::future_status::ready) io_.run_one();
    io_.restart();  // it has stopped if that was all there was to do
    return future.get();
  }

  void LogStart() {
    log_.Info("lazaret starts", {{"version", LAZARET_VERSION}, {"pid", ::getpid()}, {"data", data_.path().native()}});
    log_.Info("listening", {{"addresses", fmt::format("{}", fmt::join(server_->addresses(), " "))},
                            {"threads", Threads(config_)},
                            {"max_connections", config_.http.max_connections}});
    clamd_->LogStart();
    engine_->LogStart();
    if (own_verdicts_ == nullptr) return;
    log_.Info("verdict cache", {{"entries", own_verdicts_->stats().entries},
                                {"max_entries", config_.cache.max_entries},
                                {"in_memory", config_.cache.memory_entries}});
  }

  void AddGauges() {
    metrics::AddStandardGauges(
        metrics_,
        clamd_->AddTo(engine_->AddTo(
            {.queue_length = [this] { return static_cast<double>(service_->Status().waiting); },
             .queue_oldest_wait_seconds =
                 [this] { return static_cast<double>(service_->Status().oldest_wait.count()) / 1000; },
             .http_connections = [this] { return static_cast<double>(server_->connections()); },
             .spool_memory_bytes = [this] { return static_cast<double>(spool_->memory_used()); },
             .spool_disk_bytes = [this] { return static_cast<double>(spool_->disk_used()); },
             .contents_waiting_for_disk = [this] { return static_cast<double>(spool_->waiting_for_turn()); },
             .cache_entries = CacheEntries(),
             .jobs = [this] { return async_->jobs().Counts(); },
             .callbacks_waiting = [this] { return static_cast<double>(async_->jobs().callbacks()); },
             .overrides = [this] { return static_cast<double>(overrides_->board().size()); },
             .long_polls = [this] { return static_cast<double>(async_->jobs().pollers()); },
             .signatures = SignaturesToCount()})),
        clock_, LAZARET_VERSION);
  }

  // Those of Redis are not counted: whoever looks after Redis can see them there.
  std::function<double()> CacheEntries() {
    if (own_verdicts_ == nullptr) return {};
    return [this] { return static_cast<double>(own_verdicts_->stats().entries); };
  }

  aio::Task<> StopTaking() {
    if (shared_ != nullptr) shared_->StopTaking();
    async_->StopTaking();
    co_return;
  }

  aio::Task<> RunUntilSignal(asio::signal_set& signals) {
    const auto [failed, number] = co_await signals.async_wait(asio::as_tuple(asio::use_awaitable));
    log_.Info("ending", {{"signal", number == SIGINT ? "SIGINT" : "SIGTERM"},
                         {"connections", server_->connections() + clamd_->connections()},
                         {"drain_s", static_cast<double>(config_.drain_timeout.count()) / 1000}});
    // A second signal ends the process at once; the kernel ends the scanners with it.
    signals.clear();
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    using namespace asio::experimental::awaitable_operators;
    const SteadyTime deadline = clock_.SteadyNow() + config_.drain_timeout;
    // In this order: who is let go then is told that the connection closes.
    co_await (server_->Drain(deadline) && clamd_->Drain(deadline) && StopTaking());
    co_await control_->Stop(deadline);
    co_await overrides_->Stop();
    co_await async_->Stop(deadline);
    co_await service_->Drain(clock_.SteadyNow());
    co_await async_->Close();
    server_->Stop();
    clamd_->Stop();
    co_await age_->Stop();
    co_await engine_->Stop();
    if (shared_ != nullptr) co_await shared_->Stop();
    log_.Info("ended");
  }

  const config::Config& config_;
  Log& log_;
  const SystemClock clock_;
  DataDirectory data_;
  asio::io_context io_{1};  // of the engine and the service: the main thread's
  metrics::Metrics metrics_;
  aio::BlockingPool disk_{kDiskThreads};
  std::unique_ptr<SharedSide> shared_;                          // null for a server of its own,
  std::unique_ptr<embedded::SqliteVerdictCache> own_verdicts_;  // which has these
  std::unique_ptr<embedded::MemoryVerdictCache> verdicts_;
  std::unique_ptr<OverrideSide> overrides_;
  LateJobQueue queue_;
  DoneBoard board_;
  std::unique_ptr<EngineSide> engine_;
  std::unique_ptr<SignatureAgeGuard> age_;
  std::unique_ptr<Spool> spool_;  // outlives the contents in the service
  std::unique_ptr<ScanService> service_;
  std::unique_ptr<AsyncSide> async_;
  std::unique_ptr<http::Api> api_;
  std::unique_ptr<net::Server> server_;
  std::unique_ptr<ClamdSide> clamd_;
  std::unique_ptr<ControlServer> control_;
};

int RefuseToStart(Log& log, const Error& error) {
  log.Error("cannot start", {{"error", error.what}});
  return 1;
}

}  // namespace

int RunServer(const config::Config& config) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit (ulimit -f) is an error like a full disk, not an end
  Log log(config.log.format, config.log.level);
  ::umask(0077);  // verdicts and contents are nobody else's business
  if (auto possible = EngineSide::Check(config); !possible) return RefuseToStart(log, possible.error());
  auto data = DataDirectory::Open(config.data);
  if (!data) return RefuseToStart(log, data.error());
  const SystemClock clock;
  std::unique_ptr<embedded::SqliteVerdictCache> own_verdicts;
  if (!config.IsShared()) {
    auto opened = embedded::SqliteVerdictCache::Open({.path = (data->path() / "verdicts.db").native(),
                                                      .max_entries = config.cache.max_entries,
                                                      .policy = MakeCachePolicy(config)},
                                                     clock, log);
    if (!opened) return RefuseToStart(log, opened.error());
    own_verdicts = *std::move(opened);
  }
  App app(config, log, *std::move(data), std::move(own_verdicts));
  if (auto listening = app.Listen(); !listening) {
    app.GiveUp();
    return RefuseToStart(log, listening.error());
  }
  return app.Run();
}

}  // namespace lazaret
