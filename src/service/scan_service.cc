#include "service/scan_service.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "aio/caught.h"
#include "aio/deadline.h"
#include "base/exception.h"

namespace lazaret {
namespace asio = boost::asio;

namespace {

// Between two questions whether another node has a verdict, growing.
constexpr milliseconds kFirstPause{20};
constexpr milliseconds kLongestPause{250};

constexpr std::string_view kEnded = "the scan was ended before it had a verdict";

}  // namespace

// One scan under way and everybody who waits for it.
struct ScanService::Flight {
  Flight(ContentPtr c, Urgency urgency)
      : content(std::move(c)), digest(content->digest()), claim{.size = content->size(), .urgency = urgency} {}

  ContentPtr content;
  const Digest digest;
  ScanScheduler::Claim claim;             // engine executor only
  std::unique_ptr<ScanClaim> node_claim;  // engine executor only: other nodes wait for us
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
                         aio::Executor engine_executor, const Clock& clock, Log& log, Telemetry& telemetry,
                         ScanClaims* claims, const OverrideBoard* overrides)
    : settings_(settings),
      engine_(engine),
      cache_(cache),
      board_(board),
      engine_executor_(std::move(engine_executor)),
      clock_(clock),
      log_(log),
      telemetry_(telemetry),
      scheduler_(engine, settings.queue, clock),
      tasks_(engine_executor_,
             [this](std::exception_ptr error) { log_.Error("scan task failed", {{"error", WhatOf(error)}}); }),
      claims_(claims),
      overrides_(overrides),
      reading_(log, "verdict cache cannot be read", "verdict cache can be read again"),
      writing_(log, "verdict cache cannot be written", "verdict cache can be written again"),
      claiming_(log, "scans are not shared with other nodes", "scans are shared with other nodes again") {}

Result<void> ScanService::CheckAdmission(std::uint64_t size) const {
  if (!IsReady()) return Fail(Errc::kUnavailable, engine_.NotReadyReason());
  if (scheduler_.IsFull(size)) return Fail(Errc::kOverloaded, "too many scans are waiting already (queue.max_waiting)");
  return {};
}

bool ScanService::IsFresh(const Verdict& verdict) const {
  const EngineInfoPtr& made = verdict.record().engine;
  if (engine_.IsCurrent(*made)) return true;
  const EngineInfoPtr engine = engine_.Current();
  return engine != nullptr && lazaret::IsFresh(*made, *engine, settings_.sharing);
}

VerdictPtr ScanService::FindLanded(const Digest& digest) {
  std::lock_guard lock(mutex_);
  const auto entry = flights_.find(digest);
  if (entry == flights_.end()) return nullptr;
  const std::optional<Result<VerdictPtr>> result = entry->second->result.Get();
  return result && *result ? **result : nullptr;
}

aio::Task<Result<VerdictPtr>> ScanService::LookUp(Digest digest) {
  VerdictPtr known = cache_.Peek(digest);
  if (known != nullptr && IsFresh(*known)) co_return known;
  if (VerdictPtr landed = FindLanded(digest)) known = std::move(landed);
  if (known != nullptr && IsFresh(*known)) co_return known;
  auto found = co_await (known == nullptr ? cache_.Find(digest) : cache_.FindAnew(digest));
  if (found) {
    reading_.Works();
    if (*found == nullptr) co_return known;
  } else {
    reading_.Fails(found.error());
  }
  co_return found;
}

std::optional<Answer> ScanService::FindOverride(const Digest& digest) {
  OverridePtr overriding = overrides_ != nullptr ? overrides_->Find(digest) : nullptr;
  if (overriding == nullptr) return std::nullopt;
  telemetry_.OnOverridden(overriding->kind);
  return Answer{.verdict = nullptr, .cached = true, .fresh = true, .overriding = std::move(overriding)};
}

Answer ScanService::AnswerWith(const Digest& digest, VerdictPtr verdict, bool cached) {
  if (auto overridden = FindOverride(digest)) return *std::move(overridden);
  const bool fresh = IsFresh(*verdict);
  return Answer{std::move(verdict), cached, fresh};
}

VerdictPtr ScanService::NotScanned(std::uint64_t size) const {
  const EngineInfoPtr engine = engine_.Current();
  if (engine == nullptr) return nullptr;
  return std::make_shared<const Verdict>(Verdict::Unscannable({engine, size, clock_.Now(), 0}, Reason::kOverridden,
                                                              "not scanned, because an override answered for it then"));
}

Answer ScanService::Hit(VerdictPtr verdict) {
  telemetry_.OnCacheLookup(CacheResult::kHit);
  telemetry_.OnVerdict(verdict->kind(), verdict->reason(), true);
  return Answer{std::move(verdict), true, true};
}

std::optional<Answer> ScanService::FindAtHand(const Digest& digest) {
  if (auto overridden = FindOverride(digest)) return overridden;
  VerdictPtr verdict = cache_.Peek(digest);
  if (verdict == nullptr || !IsFresh(*verdict)) return std::nullopt;
  return Hit(std::move(verdict));
}

aio::Task<std::optional<Answer>> ScanService::FindVerdict(Digest digest) {
  auto found = co_await LookUp(digest);
  if (!found) {
    // Without a cache every content is scanned; that is slow but right.
    telemetry_.OnCacheLookup(CacheResult::kError);
    co_return std::nullopt;
  }
  VerdictPtr verdict = *std::move(found);
  if (verdict == nullptr) {
    telemetry_.OnCacheLookup(CacheResult::kMiss);
    co_return std::nullopt;
  }
  if (IsFresh(*verdict)) co_return Hit(std::move(verdict));
  telemetry_.OnCacheLookup(CacheResult::kStale);
  co_return Answer{std::move(verdict), true, false};
}

aio::Task<std::optional<Answer>> ScanService::FindFresh(Digest digest) {
  if (auto overridden = FindOverride(digest)) co_return overridden;
  auto known = co_await FindVerdict(digest);
  if (known && !known->fresh) known.reset();
  co_return known;
}

aio::Task<std::optional<Answer>> ScanService::FindKnown(ContentPtr content) {
  if (auto overridden = FindOverride(content->digest())) co_return overridden;
  auto known = co_await FindVerdict(content->digest());
  if (!known || known->fresh) co_return known;
  if (!MayServeStale(*known->verdict) || !RescanLater(content)) co_return std::nullopt;
  telemetry_.OnStaleServed();
  telemetry_.OnVerdict(known->verdict->kind(), known->verdict->reason(), true);
  co_return known;
}

// What was found once may have been withdrawn, and what could not be judged may be judged now: only a clean verdict is
// worth more than the time of a scan.
bool ScanService::MayServeStale(const Verdict& verdict) const {
  if (settings_.stale != StalePolicy::kServeAndRescan || verdict.kind() != VerdictKind::kClean) return false;
  const EngineInfoPtr engine = engine_.Current();
  return engine != nullptr && DiffersInSignaturesOnly(*verdict.record().engine, *engine) &&
         clock_.Now() - verdict.record().scanned_at <= settings_.stale_age;
}

bool ScanService::RescanLater(const ContentPtr& content) {
  const Rescans::Admission admission = rescans_.Admit(content->digest(), content->size());
  if (admission != Rescans::Admission::kNew) return admission == Rescans::Admission::kUnderWay;
  asio::post(engine_executor_, [this, content] {
    if (!tasks_.Spawn(Rescan(content))) rescans_.Over(content->digest());
  });
  return true;
}

aio::Task<> ScanService::Rescan(ContentPtr content) {
  const Digest digest = content->digest();
  const struct Ending {
    Rescans& rescans;
    const Digest& digest;
    ~Ending() { rescans.Over(digest); }
  } ending{rescans_, digest};
  Seat seat(*this, content, Urgency::kQueued);
  content.reset();
  const std::optional<Result<VerdictPtr>> result = co_await seat.flight().result.Wait(SteadyTime::max());
  if (!result) co_return;
  if (!*result) {
    // The next request finds the verdict as stale as it was.
    log_.Debug("content was not scanned again", {{"id", digest.Hex()}, {"error", result->error().what}});
    co_return;
  }
  const Verdict& verdict = ***result;
  telemetry_.OnRescanned(verdict.kind());
  if (verdict.kind() == VerdictKind::kClean) co_return;
  log_.Warning("content that was answered as clean by an earlier verdict is not",
               {{"id", digest.Hex()},
                {"verdict", ToString(verdict.kind())},
                {"signature", verdict.signatures().empty() ? "-" : verdict.signatures().front()}});
}

aio::Task<Result<Answer>> ScanService::Scan(ContentPtr content, SteadyTime deadline, Urgency urgency) {
  Seat seat(*this, content, urgency);
  content.reset();  // the flight has it; who joined one would only hold a copy
  const std::optional<Result<VerdictPtr>> result = co_await seat.flight().result.Wait(deadline);
  if (!result) co_return Fail(Errc::kTimeout, "the deadline of the request passed before there was a verdict");
  if (!*result) co_return std::unexpected(result->error());
  const VerdictPtr& verdict = **result;
  const bool cached = seat.flight().from_cache;
  Answer answer = AnswerWith(seat.flight().digest, verdict, cached);
  if (answer.overriding == nullptr) telemetry_.OnVerdict(verdict->kind(), verdict->reason(), cached);
  co_return answer;
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
    ~Landing() {
      flight.node_claim.reset();
      service.Land(flight, Fail(Errc::kUnavailable, std::string(kEnded)));
    }
  } landing{*this, *flight};

  Result<VerdictPtr> verdict = co_await Judge(*flight);
  flight->content.reset();
  flight->result.Set(verdict);
  if (verdict) board_.Announce(flight->digest, *verdict);
  // The flight stays listed until the cache has the verdict, so that no request in between scans again; other nodes are
  // held off as long.
  const bool is_new = verdict && !flight->from_cache && (*verdict)->reason() != Reason::kOverridden;
  if (is_new) co_await Remember(flight->digest, *verdict);
}

aio::Task<Result<VerdictPtr>> ScanService::Judge(Flight& flight) {
  // Another scan of the same content may have landed after we had looked and before we boarded.
  if (VerdictPtr known = cache_.Peek(flight.digest); known != nullptr && IsAnswer(*known, flight.claim.urgency)) {
    flight.from_cache = true;
    co_return known;
  }
  if (engine_.Current() == nullptr) co_return Fail(Errc::kUnavailable, engine_.NotReadyReason());
  for (;;) {
    Result<VerdictPtr> verdict = co_await JudgeInSlot(flight);
    if (!verdict || *verdict != nullptr) co_return verdict;
    // It gave way, and another node that has a slot may scan it.
    flight.scanning = false;
    flight.node_claim.reset();
    telemetry_.OnGaveWay();
    log_.Debug("scan gave way to short ones", {{"id", flight.digest.Hex()}});
  }
}

aio::Task<Result<VerdictPtr>> ScanService::JudgeInSlot(Flight& flight) {
  // Asked with the slot in hand: what waits for a slot here is free for any node that has one.
  std::optional<Result<ScanScheduler::Slot>> slot(co_await scheduler_.Acquire(flight.claim));
  if (!*slot) co_return std::unexpected(slot->error());
  Turn turn = co_await AskForTurn(flight);
  if (turn.is_elsewhere) {
    slot.reset();
    turn = co_await WaitForTurn(flight);
    if (turn.verdict == nullptr) {
      slot.emplace(co_await scheduler_.Acquire(flight.claim));
      if (!*slot) co_return std::unexpected(slot->error());
    }
  }
  if (turn.verdict != nullptr) {
    flight.from_cache = true;
    co_return std::move(turn.verdict);
  }
  co_return co_await ScanNow(flight, **slot);
}

aio::Task<ScanService::Turn> ScanService::AskForTurn(Flight& flight) {
  const EngineInfoPtr engine = engine_.Current();
  if (claims_ == nullptr || engine == nullptr) co_return Turn{};
  auto answer = co_await claims_->Ask(flight.digest, engine);
  if (!answer) {
    // At worst the same content is scanned twice.
    claiming_.Fails(answer.error());
    co_return Turn{};
  }
  claiming_.Works();
  if (answer->verdict != nullptr && IsAnswer(*answer->verdict, flight.claim.urgency)) {
    co_return Turn{.verdict = std::move(answer->verdict)};
  }
  flight.node_claim = std::move(answer->claim);
  co_return Turn{.is_elsewhere = flight.node_claim == nullptr};
}

aio::Task<ScanService::Turn> ScanService::WaitForTurn(Flight& flight) {
  telemetry_.OnCoalesced();
  milliseconds pause = kFirstPause;
  for (;;) {
    co_await aio::SleepUntil(clock_.SteadyNow() + pause);
    pause = std::min(pause * 3 / 2, kLongestPause);
    Turn turn = co_await AskForTurn(flight);
    if (!turn.is_elsewhere) co_return turn;
  }
}

aio::Task<std::optional<Result<Verdict>>> ScanService::AskEngine(ContentPtr content, ScanScheduler::Slot& slot) {
  const auto joined = [](Result<Result<Verdict>> scanned) -> Result<Verdict> {
    return scanned ? *std::move(scanned) : std::unexpected(std::move(scanned).error());
  };
  auto scan = aio::Caught(engine_.Scan(std::move(content), clock_.SteadyNow() + settings_.scan_deadline));
  if (!slot.is_short()) co_return joined(co_await std::move(scan));
  using namespace asio::experimental::awaitable_operators;
  auto first = co_await (std::move(scan) || slot.ToGiveWay());
  if (first.index() == 0) co_return joined(std::get<0>(std::move(first)));
  if (slot.gives_way()) co_return std::nullopt;
  co_return Fail(Errc::kUnavailable, std::string(kEnded));
}

aio::Task<Result<VerdictPtr>> ScanService::ScanNow(Flight& flight, ScanScheduler::Slot& slot) {
  flight.scanning = true;
  auto asked = co_await AskEngine(flight.content, slot);
  if (!asked) co_return VerdictPtr();
  if (!*asked) {
    const Error& error = asked->error();
    if (error.code == Errc::kInternal) log_.Error("scan failed", {{"id", flight.digest.Hex()}, {"error", error.what}});
    co_return std::unexpected(error);
  }
  slot.SetHasVerdict();
  Verdict& verdict = **asked;
  const ScanRecord& record = verdict.record();
  telemetry_.OnScan(std::chrono::duration<double, std::milli>(record.scan_ms), record.size);
  log_.Info("scan", {{"id", flight.digest.Hex()},
                     {"size", record.size},
                     {"verdict", ToString(verdict.kind())},
                     {"reason", verdict.kind() == VerdictKind::kUnscannable ? ToString(verdict.reason()) : "-"},
                     {"ms", record.scan_ms}});
  co_return std::make_shared<const Verdict>(std::move(verdict));
}

aio::Task<> ScanService::Remember(Digest digest, VerdictPtr verdict) {
  const auto stored = co_await cache_.Store(digest, std::move(verdict));
  if (stored) co_return writing_.Works();
  telemetry_.OnCacheWriteFailed();
  writing_.Fails(stored.error());
}

aio::Task<Result<ScanState>> ScanService::Find(Digest digest) {
  if (auto overridden = FindOverride(digest)) co_return ScanState{ScanStatus::kDone, std::move(overridden)};
  {
    std::lock_guard lock(mutex_);
    const auto entry = flights_.find(digest);
    if (entry != flights_.end() && !entry->second->abandoned && !entry->second->result.IsSet()) {
      co_return ScanState{entry->second->scanning ? ScanStatus::kScanning : ScanStatus::kQueued, {}};
    }
  }
  VerdictPtr verdict = FindLanded(digest);
  if (verdict == nullptr) {
    auto found = co_await LookUp(digest);
    // Without the shared cache, what memory has is still known.
    verdict = found ? *std::move(found) : cache_.Peek(digest);
    if (verdict == nullptr && !found) co_return std::unexpected(found.error());
  }
  if (verdict == nullptr) co_return ScanState{};
  const bool fresh = IsFresh(*verdict);
  co_return ScanState{ScanStatus::kDone, Answer{std::move(verdict), true, fresh}};
}

std::optional<ScanState> ScanService::FindNow(const Digest& digest) {
  if (auto overridden = FindOverride(digest)) return ScanState{ScanStatus::kDone, std::move(overridden)};
  {
    std::lock_guard lock(mutex_);
    if (flights_.contains(digest)) return std::nullopt;
  }
  VerdictPtr verdict = cache_.Peek(digest);
  if (verdict == nullptr || verdict->IsPassing() || !IsFresh(*verdict)) return std::nullopt;
  return ScanState{ScanStatus::kDone, Answer{std::move(verdict), true, true}};
}

ServiceStatus ScanService::Status() const {
  const std::size_t long_waiting = scheduler_.long_waiting();
  return {.engine = engine_.Current(),
          .not_ready_reason = engine_.NotReadyReason(),
          .slots = engine_.Slots(),
          .waiting = scheduler_.short_waiting() + long_waiting,
          .long_waiting = long_waiting,
          .max_waiting = scheduler_.settings().max_waiting,
          .oldest_wait = scheduler_.oldest_wait(),
          .overrides = overrides_ != nullptr ? overrides_->size() : 0};
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
