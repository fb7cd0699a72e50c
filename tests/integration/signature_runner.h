#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "aio/blocking_pool.h"
#include "aio/task_group.h"
#include "base/log.h"
#include "clamav/scanner_pool.h"
#include "clamav/signature_check.h"
#include "clamav/signature_manager.h"
#include "integration/pool_runner.h"
#include "integration/processes.h"
#include "integration/test_directory.h"

namespace lazaret::tests {

// The embedded engine and its signatures, with scanners of their own, on a thread of their own.
class SignatureRunner {
 public:
  static constexpr std::size_t kSlots = 2;

  // Of the signatures in <root>/signatures, with <root>/data for what is kept, and quick to notice.
  static clamav::SignatureSettings Settings(const TestDirectory& root) {
    wire::LoadRequest limits{.user = ::geteuid() == 0 ? "nobody" : "",
                             .slots = kSlots,
                             .temp_bytes = 16 << 20,
                             .memory_bytes = 1 << 30,
                             .max_file_bytes = 1 << 26,
                             .max_scan_bytes = 1 << 28,
                             .max_recursion = 10,
                             .max_files = 1000};
    clamav::SignatureSettings settings;
    settings.directory = root / "signatures";
    settings.state_directory = root / "data/signatures";
    settings.settle = milliseconds(50);
    settings.settle_limit = milliseconds(500);
    settings.check_interval = std::chrono::hours(1);
    settings.retry_pause = milliseconds(100);
    settings.change.settle = milliseconds(10);
    settings.loader = {.program = LAZARET_SCANNER_HOOKS, .temp_directory = root / "data/scanners", .limits = limits};
    return settings;
  }

  explicit SignatureRunner(clamav::SignatureSettings settings, AskForTurn gate = nullptr)
      : pool_({.slots = kSlots}, io_.get_executor(), clock_, log_, telemetry_),
        manager_(std::move(settings), pool_, disk_, clock_, log_, telemetry_),
        thread_([this] { io_.run(); }) {
    boost::asio::post(io_, [this, gate = std::move(gate)] {
      if (gate) manager_.SetGate(gate);
      manager_.Start();
    });
  }
  ~SignatureRunner() {
    boost::asio::co_spawn(io_, Stop(), boost::asio::use_future).get();
    work_.reset();
  }
  SignatureRunner(const SignatureRunner&) = delete;
  SignatureRunner& operator=(const SignatureRunner&) = delete;

  clamav::SignatureStatus Status() const { return manager_.Status(); }
  template <class Condition>
  bool Becomes(Condition condition) const {
    return Eventually([&] { return condition(Status()); });
  }
  bool BecomesReady() const {
    return Eventually([&] { return pool_.Current() != nullptr; });
  }
  // Whether the last refusal is, or becomes, one of this kind.
  bool Refuses(clamav::RefusalKind kind) const {
    return Becomes(
        [&](const clamav::SignatureStatus& s) { return s.last_refusal && s.last_refusal->why.kind == kind; });
  }
  // The reason of the last refusal.
  std::string Reason() const {
    const auto status = Status();
    return status.last_refusal ? status.last_refusal->why.reason : "";
  }
  EngineInfoPtr Current() const { return pool_.Current(); }
  bool IsCurrent(const EngineInfo& info) const { return pool_.IsCurrent(info); }
  bool IsInUse(const Digest& set) const {
    const auto engine = Current();
    return engine != nullptr && engine->signature_set == set;
  }

  Result<clamav::SignatureManager::Change> Reload(bool force = false) { return StartReload(force).get(); }
  std::future<Result<clamav::SignatureManager::Change>> StartReload(bool force = false) {
    return Begin(manager_.Reload(force));
  }
  Result<clamav::SignatureManager::Change> Rollback(const std::string& reason = "test") {
    return Begin(manager_.Rollback(reason)).get();
  }
  Result<clamav::SignatureCheck> Check(const std::filesystem::path& directory, const clamav::LoaderSettings& loader) {
    return Begin(clamav::CheckSignatures(directory, loader, {}, {}, pool_.parts(), disk_)).get();
  }

  std::future<Result<Verdict>> StartScan(std::string_view bytes, milliseconds time = kPatience) {
    return Begin(Run(std::make_shared<MemoryContent>(bytes), time));
  }
  Result<Verdict> Scan(std::string_view bytes, milliseconds time = kPatience) { return StartScan(bytes, time).get(); }
  // "clean", "infected", "unscannable", or the error.
  std::string Says(std::string_view bytes) {
    const auto verdict = Scan(bytes);
    return verdict ? std::string(ToString(verdict->kind())) : verdict.error().what;
  }

 private:
  template <class T>
  std::future<Result<T>> Begin(aio::Task<Result<T>> task) {
    std::promise<Result<T>> promise;
    auto future = promise.get_future();
    boost::asio::co_spawn(io_, Keep(std::move(task), std::move(promise)),
                          boost::asio::detached);  // kept by the promise
    return future;
  }
  template <class T>
  static aio::Task<> Keep(aio::Task<Result<T>> task, std::promise<Result<T>> promise) {
    promise.set_value(co_await std::move(task));
  }
  aio::Task<Result<Verdict>> Run(std::shared_ptr<MemoryContent> content, milliseconds time) {
    co_return co_await pool_.Scan(content, clock_.SteadyNow() + time);
  }
  aio::Task<> Stop() {
    co_await manager_.Stop();
    co_await pool_.Stop();
  }

  SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  Telemetry telemetry_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  aio::BlockingPool disk_{2};
  clamav::ScannerPool pool_;
  clamav::SignatureManager manager_;
  std::jthread thread_;
};

}  // namespace lazaret::tests
