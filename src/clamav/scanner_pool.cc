#include "clamav/scanner_pool.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "base/exception.h"

namespace lazaret::clamav {
namespace asio = boost::asio;

namespace {

Reason ToReason(wire::OutcomeReason reason) {
  switch (reason) {
    case wire::OutcomeReason::kEncrypted: return Reason::kEncrypted;
    case wire::OutcomeReason::kLimitExceeded: return Reason::kLimitExceeded;
    case wire::OutcomeReason::kTimeout: return Reason::kTimeout;
    case wire::OutcomeReason::kUnsupported: return Reason::kUnsupported;
    case wire::OutcomeReason::kTemporarySpace: return Reason::kTemporarySpace;
    case wire::OutcomeReason::kNone:
    case wire::OutcomeReason::kEngineError: break;
  }
  return Reason::kEngineError;
}

// Text of a scanner goes to whoever sent the content: short and plain, so that a scanner that was taken over has no
// broad way out for what else it may have seen.
std::string Printable(std::string_view text) {
  constexpr std::size_t kMostBytes = 200;
  std::string out(text.substr(0, kMostBytes));
  std::ranges::replace_if(out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

}  // namespace

// A scanner at work. Unless it is given back in good order, its end kills the process, so that nothing that went
// wrong in one scan can touch the next.
class ScannerPool::Lease {
 public:
  Lease(ScannerPool& pool, Generation::ScannerPtr scanner, SteadyTime deadline)
      : pool_(pool),
        generation_(pool.generation_),
        engine_(pool.engine_),
        deadline_(deadline),
        scanner_(std::move(scanner)) {
    ++pool_.busy_count_;
    pool_.idle_count_ = generation_->idle();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    --pool_.busy_count_;
    if (scanner_ != nullptr) scanner_->Kill(kill_as_);
    generation_->Release();
  }

  ScannerProcess& scanner() { return *scanner_; }
  const EngineInfoPtr& engine() const { return engine_; }
  SteadyTime deadline() const { return deadline_; }
  void KillAs(ScannerEnd why) { kill_as_ = why; }
  void GiveBack(bool is_last) {
    const bool is_old = is_last || scanner_->scans() >= pool_.settings_.scans_per_scanner;
    generation_->Return(std::exchange(scanner_, nullptr), is_old);
  }

 private:
  ScannerPool& pool_;
  const GenerationPtr generation_;
  const EngineInfoPtr engine_;
  const SteadyTime deadline_;
  Generation::ScannerPtr scanner_;
  ScannerEnd kill_as_ = ScannerEnd::kCancelled;
};

ScannerPool::ScannerPool(ScannerPoolSettings settings, aio::Executor executor, const Clock& clock, Log& log,
                         Telemetry& telemetry)
    : settings_(settings),
      executor_(std::move(executor)),
      clock_(clock),
      log_(log),
      telemetry_(telemetry),
      tasks_(executor_,
             [this](std::exception_ptr error) { log_.Error("scanner pool task failed", {{"error", WhatOf(error)}}); }),
      not_ready_reason_("the signatures are being loaded") {}

ScannerPool::~ScannerPool() = default;

ScannerParts ScannerPool::parts() { return {executor_, tasks_, clock_, log_, telemetry_}; }

void ScannerPool::Notify(std::function<void(const Error&)> on_death, std::function<void(const Verdict&)> on_verdict) {
  on_death_ = std::move(on_death);
  on_verdict_ = std::move(on_verdict);
}

void ScannerPool::Publish(EngineInfoPtr engine, std::string reason) {
  std::lock_guard lock(mutex_);
  current_now_ = engine.get();
  current_ = std::move(engine);
  not_ready_reason_ = std::move(reason);
}

void ScannerPool::MoveTo(GenerationPtr generation, EngineInfoPtr engine) {
  if (generation_ != nullptr) tasks_.Spawn(Retire(generation_));
  generation_ = std::move(generation);
  engine_ = engine;
  suspended_ = false;
  generation_->Notify([this] { OnIdle(); },
                      [this, which = generation_.get()](const Error& error) { OnDeath(which, error); });
  Publish(std::move(engine), "");
  idle_count_ = generation_->idle();
  if (generation_->has_ended()) return OnDeath(generation_.get(), {Errc::kUnavailable, "the zygote has died"});
  WakeAllWaiters();
}

aio::Task<> ScannerPool::Retire(GenerationPtr generation) {
  retiring_.push_back(generation);
  co_await generation->Retire();
  co_await generation->End();
  std::erase(retiring_, generation);
}

aio::Task<> ScannerPool::Suspend() {
  suspended_ = true;
  WakeAllWaiters();  // they wait again, for longer
  if (generation_ == nullptr) co_return;
  co_await Retire(std::exchange(generation_, nullptr));
}

void ScannerPool::SetNotReady(std::string reason) {
  suspended_ = false;
  Publish(nullptr, std::move(reason));
  WakeAllWaiters();
}

void ScannerPool::OnDeath(const Generation* generation, const Error& error) {
  if (generation_.get() != generation) return;  // its scans try again elsewhere
  generation_ = nullptr;
  idle_count_ = 0;
  SetNotReady(error.what);
  if (!stopping_ && on_death_) on_death_(error);
}

void ScannerPool::OnIdle() {
  idle_count_ = generation_ != nullptr ? generation_->idle() : 0;
  if (idle_count_ > 0) WakeOneWaiter();
}

aio::Task<> ScannerPool::Stop() {
  stopping_ = true;
  SetNotReady("the server is ending");
  if (generation_ != nullptr) co_await std::exchange(generation_, nullptr)->End();
  for (const GenerationPtr& generation : std::list(retiring_)) co_await generation->End();
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
}

EngineInfoPtr ScannerPool::Current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

std::string ScannerPool::NotReadyReason() const {
  std::lock_guard lock(mutex_);
  return not_ready_reason_;
}

ScannerPool::Counts ScannerPool::counts() const {
  const std::size_t idle = idle_count_;
  const std::size_t busy = busy_count_;
  return {idle, busy, settings_.slots - std::min(settings_.slots, idle + busy)};
}

void ScannerPool::WakeOneWaiter() {
  if (waiters_.empty()) return;
  waiters_.front()->expires_at(SteadyTime::min());
  waiters_.pop_front();
}

void ScannerPool::WakeAllWaiters() {
  for (const auto& waiter : waiters_) waiter->expires_at(SteadyTime::min());
}

// A place in the line for the next idle scanner.
class ScannerPool::Waiter {
 public:
  Waiter(ScannerPool& pool, SteadyTime deadline)
      : pool_(pool), timer_(std::make_shared<asio::steady_timer>(pool.executor_, deadline)) {
    pool_.waiters_.push_back(timer_);
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    // Woken, but about to leave with nothing: the scanner is somebody else's.
    if (std::erase(pool_.waiters_, timer_) == 0 && !served_) pool_.WakeOneWaiter();
  }

  // False when the caller was cancelled.
  aio::Task<bool> Wait() {
    co_await timer_->async_wait(asio::as_tuple(asio::use_awaitable));
    const auto state = co_await asio::this_coro::cancellation_state;
    served_ = state.cancelled() == asio::cancellation_type::none;
    co_return served_;
  }

 private:
  ScannerPool& pool_;
  const std::shared_ptr<asio::steady_timer> timer_;
  bool served_ = false;
};

aio::Task<Result<std::unique_ptr<ScannerPool::Lease>>> ScannerPool::Acquire(SteadyTime deadline) {
  for (;;) {
    if (Current() == nullptr) co_return Fail(Errc::kUnavailable, NotReadyReason());
    if (clock_.SteadyNow() >= deadline) co_return Fail(Errc::kUnavailable, "no scanner became free in time");
    if (generation_ != nullptr) {
      if (auto scanner = generation_->TakeIdle()) {
        co_return std::make_unique<Lease>(*this, std::move(scanner), deadline);
      }
      idle_count_ = generation_->idle();  // the dead are not
    }
    const bool was_suspended = suspended_;
    const SteadyTime began = clock_.SteadyNow();
    Waiter waiter(*this, was_suspended ? SteadyTime::max() : deadline);
    if (!co_await waiter.Wait()) co_return Fail(Errc::kCancelled, "nobody waits for this scan any more");
    if (was_suspended) deadline += clock_.SteadyNow() - began;
  }
}

aio::Task<Result<Verdict>> ScannerPool::Scan(ContentPtr content, SteadyTime deadline) {
  const auto descriptor = content->Descriptor();
  if (!descriptor) co_return std::unexpected(descriptor.error());
  int crashes = 0;
  for (;;) {
    auto acquired = co_await Acquire(deadline);
    if (!acquired) co_return std::unexpected(acquired.error());
    const std::unique_ptr<Lease> lease = *std::move(acquired);
    deadline = lease->deadline();

    const SteadyTime start = clock_.SteadyNow();
    const auto time_limit = std::chrono::floor<milliseconds>((deadline - start) * 9 / 10);
    auto outcome = co_await aio::WithDeadline(
        lease->scanner().Scan(*descriptor, content->size(), std::max(time_limit, milliseconds(1))), deadline,
        "deadline");
    const std::chrono::duration<double, std::milli> took = clock_.SteadyNow() - start;
    ScanRecord record{lease->engine(), content->size(), clock_.Now(), took.count()};
    if (outcome) {
      lease->GiveBack(outcome->is_last);
      Verdict verdict = ToVerdict(*outcome, std::move(record));
      if (on_verdict_) on_verdict_(verdict);
      co_return verdict;
    }
    if (outcome.error().code == Errc::kTimeout) {
      lease->KillAs(ScannerEnd::kDeadline);
      co_return Verdict::Unscannable(std::move(record), Reason::kTimeout, "the scan passed its deadline");
    }
    if (outcome.error().code == Errc::kCancelled) co_return std::unexpected(outcome.error());
    lease->KillAs(ScannerEnd::kCrashed);
    if (outcome.error().code == Errc::kUnavailable) continue;  // not the content's doing; the deadline ends this
    ++crashes;
    log_.Warning("scanner died in a scan", {{"id", content->digest().Hex()},
                                            {"size", content->size()},
                                            {"attempt", crashes},
                                            {"error", outcome.error().what}});
    if (crashes >= settings_.attempts) {
      co_return Verdict::Unscannable(std::move(record), Reason::kEngineCrashed,
                                     fmt::format("the scanner crashed {} times on this content", crashes));
    }
  }
}

Verdict ScannerPool::ToVerdict(const wire::Outcome& outcome, ScanRecord record) const {
  switch (outcome.kind) {
    case wire::OutcomeKind::kClean: return Verdict::Clean(std::move(record));
    case wire::OutcomeKind::kInfected: {
      std::vector<std::string> names;
      for (const std::string& name : outcome.signatures) names.push_back(Printable(name));
      return Verdict::Infected(std::move(record), std::move(names));
    }
    case wire::OutcomeKind::kIncomplete: break;
  }
  return Verdict::Unscannable(std::move(record), ToReason(outcome.reason), Printable(outcome.detail));
}

}  // namespace lazaret::clamav
