#include "service/scan_service.h"

#include <boost/asio/post.hpp>

#include <functional>
#include <utility>

#include "aio/deadline.h"
#include "base/exception.h"

namespace lazaret {
namespace asio = boost::asio;

// One scan under way and everybody who waits for it.
struct ScanService::Flight {
  Flight(ContentPtr c, Urgency urgency)
      : content(std::move(c)), digest(content->digest()), claim{.size = content->size(), .urgency = urgency} {}

  ContentPtr content;
  const Digest digest;
  ScanScheduler::Claim claim;  // engine executor only
  aio::Broadcast<Result<VerdictPtr>> result;
  std::atomic<bool> scanning = false;
  std::atomic<bool> from_cache = false;  // set before the result: another scan had landed just before
  std::size_t seats = 0;                 // guarded by the service's mutex
  bool abandoned = false;                // guarded by the service's mutex: the last one left, nobody may join any more
  std::function<void()> cancel;          // engine executor only
};

// One waiting request's share in a flight.
class ScanService::Seat {
 public:
  Seat(ScanService& service, const ContentPtr& content, Urgency urgency)
      : service_(service), flight_(service.Board(content, urgency)) {}
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;
  ~Seat() { service_.Leave(flight_); }
  Flight& flight() { return *flight_; }

 private:
  ScanService& service_;
  FlightPtr flight_;
};

ScanService::ScanService(ScanServiceSettings settings, Engine& engine, VerdictCache& cache, DoneBoard& board,
                         aio::Executor engine_executor, const Clock& clock, Log& log, Telemetry& telemetry)
    : settings_(settings),
      engine_(engine),
      cache_(cache),
      board_(board),
      engine_executor_(std::move(engine_executor)),
      clock_(clock),
      log_(log),
      telemetry_(telemetry),
      scheduler_(engine.Slots(), settings.queue, clock),
      tasks_(engine_executor_,
             [this](std::exception_ptr error) { log_.Error("scan task failed", {{"error", WhatOf(error)}}); }) {}

Result<void> ScanService::CheckAdmission(std::uint64_t size) const {
  if (engine_.Current() == nullptr) return Fail(Errc::kUnavailable, engine_.NotReadyReason());
  if (scheduler_.IsFull(size)) return Fail(Errc::kOverloaded, "too many scans are waiting already (queue.max_waiting)");
  return {};
}

bool ScanService::IsFresh(const Verdict& verdict) const {
  const EngineInfoPtr engine = engine_.Current();
  return engine != nullptr && (verdict.record().engine == engine || verdict.record().engine->SameIdentity(*engine));
}

VerdictPtr ScanService::FindLanded(const Digest& digest) {
  std::lock_guard lock(mutex_);
  const auto entry = flights_.find(digest);
  if (entry == flights_.end()) return nullptr;
  const std::optional<Result<VerdictPtr>> result = entry->second->result.Get();
  return result && *result ? **result : nullptr;
}

aio::Task<VerdictPtr> ScanService::FindFresh(Digest digest) {
  VerdictPtr verdict = cache_.Peek(digest);
  if (verdict == nullptr || !IsFresh(*verdict)) verdict = FindLanded(digest);
  if (verdict == nullptr || !IsFresh(*verdict)) {
    auto found = co_await cache_.Find(digest);
    if (!found) {
      // Without a cache every content is scanned; that is slow but right.
      log_.Warning("verdict cache cannot be read", {{"id", digest.Hex()}, {"error", found.error().what}});
      telemetry_.OnCacheLookup(CacheResult::kError);
      co_return nullptr;
    }
    verdict = *std::move(found);
  }
  if (verdict == nullptr) {
    telemetry_.OnCacheLookup(CacheResult::kMiss);
    co_return nullptr;
  }
  if (!IsFresh(*verdict)) {
    telemetry_.OnCacheLookup(CacheResult::kStale);
    co_return nullptr;
  }
  telemetry_.OnCacheLookup(CacheResult::kHit);
  telemetry_.OnVerdict(verdict->kind(), verdict->reason(), true);
  co_return verdict;
}

aio::Task<Result<Answer>> ScanService::Scan(ContentPtr content, SteadyTime deadline, Urgency urgency) {
  Seat seat(*this, content, urgency);
  content.reset();  // the flight has it; who joined one would only hold a copy
  const std::optional<Result<VerdictPtr>> result = co_await seat.flight().result.Wait(deadline);
  if (!result) co_return Fail(Errc::kTimeout, "the deadline of the request passed before there was a verdict");
  if (!*result) co_return std::unexpected(result->error());
  const VerdictPtr& verdict = **result;
  const bool cached = seat.flight().from_cache;
  telemetry_.OnVerdict(verdict->kind(), verdict->reason(), cached);
  co_return Answer{verdict, cached, IsFresh(*verdict)};
}

bool ScanService::IsAnswer(const Verdict& verdict, Urgency urgency) const {
  return IsFresh(verdict) && (urgency == Urgency::kUrgent || !verdict.IsPassing());
}

bool ScanService::CanBeJoined(const Flight& flight, Urgency urgency) const {
  if (flight.abandoned) return false;
  // Its verdict may be stale by now, or none.
  const std::optional<Result<VerdictPtr>> landed = flight.result.Get();
  return !landed || (*landed && IsAnswer(***landed, urgency));
}

ScanService::FlightPtr ScanService::Board(const ContentPtr& content, Urgency urgency) {
  std::lock_guard lock(mutex_);
  FlightPtr& flight = flights_[content->digest()];
  if (flight != nullptr && CanBeJoined(*flight, urgency)) {
    ++flight->seats;
    telemetry_.OnCoalesced();
    if (urgency == Urgency::kUrgent) {
      asio::post(engine_executor_, [this, joined = flight] { scheduler_.Promote(joined->claim); });
    }
    return flight;
  }
  flight = std::make_shared<Flight>(content, urgency);
  flight->seats = 1;
  asio::post(engine_executor_, [this, started = flight] {
    started->cancel = tasks_.SpawnCancellable(Fly(started));
    if (!started->cancel) Land(*started, Fail(Errc::kUnavailable, "the server is ending"));
  });
  return flight;
}

void ScanService::Leave(const FlightPtr& flight) {
  {
    std::lock_guard lock(mutex_);
    if (--flight->seats > 0 || flight->result.IsSet()) return;
    flight->abandoned = true;
  }
  asio::post(engine_executor_, [flight] {
    if (flight->cancel) flight->cancel();
  });
}

void ScanService::Land(Flight& flight, Result<VerdictPtr> unless_set) {
  flight.result.Set(std::move(unless_set));
  flight.content.reset();
  std::lock_guard lock(mutex_);
  const auto entry = flights_.find(flight.digest);
  if (entry != flights_.end() && entry->second.get() == &flight) flights_.erase(entry);
}

aio::Task<> ScanService::Fly(FlightPtr flight) {
  // Whatever ends this coroutine, an exception included, nobody is left waiting.
  struct Landing {
    ScanService& service;
    Flight& flight;
    ~Landing() { service.Land(flight, Fail(Errc::kUnavailable, "the scan was ended before it had a verdict")); }
  } landing{*this, *flight};

  Result<VerdictPtr> verdict = co_await ScanNow(*flight);
  flight->content.reset();
  flight->result.Set(verdict);
  if (verdict) board_.Announce(flight->digest, *verdict);
  // The flight stays listed until the cache has the verdict, so that no request in between scans again.
  if (verdict) co_await Remember(flight->digest, *verdict);
}

aio::Task<Result<VerdictPtr>> ScanService::ScanNow(Flight& flight) {
  // Another scan of the same content may have landed after we had looked and before we boarded.
  if (VerdictPtr known = cache_.Peek(flight.digest); known != nullptr && IsAnswer(*known, flight.claim.urgency)) {
    flight.from_cache = true;
    co_return known;
  }
  if (engine_.Current() == nullptr) co_return Fail(Errc::kUnavailable, engine_.NotReadyReason());
  auto slot = co_await scheduler_.Acquire(flight.claim);
  if (!slot) co_return std::unexpected(slot.error());
  flight.scanning = true;
  auto verdict = co_await engine_.Scan(flight.content, clock_.SteadyNow() + settings_.scan_deadline);
  if (!verdict) co_return std::unexpected(verdict.error());
  const ScanRecord& record = verdict->record();
  telemetry_.OnScan(std::chrono::duration<double, std::milli>(record.scan_ms), record.size);
  log_.Info("scan", {{"id", flight.digest.Hex()},
                     {"size", record.size},
                     {"verdict", ToString(verdict->kind())},
                     {"reason", verdict->kind() == VerdictKind::kUnscannable ? ToString(verdict->reason()) : "-"},
                     {"ms", record.scan_ms}});
  co_return std::make_shared<const Verdict>(*std::move(verdict));
}

aio::Task<> ScanService::Remember(Digest digest, VerdictPtr verdict) {
  const auto stored = co_await cache_.Store(digest, std::move(verdict));
  if (stored) co_return;
  telemetry_.OnCacheWriteFailed();
  log_.Warning("verdict cache cannot be written", {{"id", digest.Hex()}, {"error", stored.error().what}});
}

aio::Task<Result<ScanState>> ScanService::Find(Digest digest) {
  {
    std::lock_guard lock(mutex_);
    const auto entry = flights_.find(digest);
    if (entry != flights_.end() && !entry->second->abandoned && !entry->second->result.IsSet()) {
      co_return ScanState{entry->second->scanning ? ScanStatus::kScanning : ScanStatus::kQueued, {}};
    }
  }
  VerdictPtr verdict = FindLanded(digest);
  if (verdict == nullptr) {
    auto found = co_await cache_.Find(digest);
    if (!found) co_return std::unexpected(found.error());
    verdict = *std::move(found);
  }
  if (verdict == nullptr) co_return ScanState{};
  const bool fresh = IsFresh(*verdict);
  co_return ScanState{ScanStatus::kDone, Answer{std::move(verdict), true, fresh}};
}

ServiceStatus ScanService::Status() const {
  return {.engine = engine_.Current(),
          .not_ready_reason = engine_.NotReadyReason(),
          .slots = engine_.Slots(),
          .waiting = scheduler_.waiting(),
          .max_waiting = scheduler_.settings().max_waiting,
          .oldest_wait = scheduler_.oldest_wait()};
}

aio::Task<> ScanService::Drain(SteadyTime deadline) {
  while (tasks_.size() > 0 && clock_.SteadyNow() < deadline) {
    co_await aio::SleepUntil(clock_.SteadyNow() + milliseconds(20));
  }
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
}

}  // namespace lazaret
