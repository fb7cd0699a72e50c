#pragma once

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "clamav/generation.h"
#include "core/engine.h"
#include "core/telemetry.h"

namespace lazaret::clamav {

struct ScannerPoolSettings {
  std::size_t slots = 1;                  // scanners at most
  int attempts = 3;                       // how often a content may crash a scanner
  std::uint64_t scans_per_scanner = 100;  // after that a scanner is replaced
};

// The embedded engine: gives contents to the scanners of the generation that is in use. Which one that is, and when
// another one takes its place, is for SignatureManager to say. One executor, but for what Engine calls thread-safe.
class ScannerPool final : public Engine {
 public:
  struct Counts {
    std::size_t idle, busy, starting;
  };

  ScannerPool(ScannerPoolSettings settings, aio::Executor executor, const Clock& clock, Log& log, Telemetry& telemetry);
  ~ScannerPool() override;

  // `on_death`: the generation in use has died, and Current() is null. `on_verdict`: a scan was finished, with the set
  // in its record. To be called first of all.
  void Notify(std::function<void(const Error&)> on_death, std::function<void(const Verdict&)> on_verdict);

  // Scans go to `generation`, which has scanners ready, from now on, and Current() is `engine`. What was in use before
  // ends when its last scan does.
  void MoveTo(GenerationPtr generation, EngineInfoPtr engine);
  // Ends the generation in use when its last scan has ended, and returns then. Scans wait until the next MoveTo or
  // SetNotReady, which does not count against their deadlines; Current() stays as it is.
  aio::Task<> Suspend();
  // Without a generation: scans are refused with `reason`, also those that wait.
  void SetNotReady(std::string reason);
  bool IsServing() const { return generation_ != nullptr; }
  // 0 without a generation in use.
  int zygote_pid() const { return generation_ != nullptr ? generation_->zygote_pid() : 0; }

  // Ends every scan and every process. Call before the executor stops.
  aio::Task<> Stop();

  EngineInfoPtr Current() const override;
  bool IsCurrent(const EngineInfo& info) const override { return current_now_ == &info; }
  std::string NotReadyReason() const override;
  std::size_t Slots() const override { return settings_.slots; }
  bool EndsCancelledScans() const override { return true; }
  bool IsPaused() const override { return suspended_; }
  aio::Task<Result<Verdict>> Scan(ContentPtr content, SteadyTime deadline) override;

  Counts counts() const;  // any thread
  // What the generations work with: tasks of this pool.
  ScannerParts parts();

 private:
  class Lease;
  class Waiter;

  aio::Task<> Retire(GenerationPtr generation);
  void OnDeath(const Generation* generation, const Error& error);
  void OnIdle();
  // The lease's deadline is later than `deadline` by the time for which scans were suspended meanwhile.
  aio::Task<Result<std::unique_ptr<Lease>>> Acquire(SteadyTime deadline);
  void WakeOneWaiter();
  void WakeAllWaiters();
  void Publish(EngineInfoPtr engine, std::string reason);
  Verdict ToVerdict(const wire::Outcome& outcome, ScanRecord record) const;

  const ScannerPoolSettings settings_;
  const aio::Executor executor_;
  const Clock& clock_;
  Log& log_;
  Telemetry& telemetry_;
  aio::TaskGroup tasks_;
  std::function<void(const Error&)> on_death_;
  std::function<void(const Verdict&)> on_verdict_;

  GenerationPtr generation_;
  std::list<GenerationPtr> retiring_;  // their last scans still run
  EngineInfoPtr engine_;               // of generation_
  bool suspended_ = false;
  bool stopping_ = false;
  std::list<std::shared_ptr<boost::asio::steady_timer>> waiters_;

  std::atomic<std::size_t> idle_count_ = 0;
  std::atomic<std::size_t> busy_count_ = 0;
  mutable std::mutex mutex_;  // guards what other threads read
  EngineInfoPtr current_;
  std::atomic<const EngineInfo*> current_now_ = nullptr;  // the same without the lock
  std::string not_ready_reason_;
};

}  // namespace lazaret::clamav
