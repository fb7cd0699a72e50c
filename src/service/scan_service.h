#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "aio/broadcast.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/standing.h"
#include "core/content.h"
#include "core/engine.h"
#include "core/freshness.h"
#include "core/override_board.h"
#include "core/scan_claims.h"
#include "core/telemetry.h"
#include "core/verdict_cache.h"
#include "service/done_board.h"
#include "service/rescans.h"
#include "service/scan_scheduler.h"

namespace lazaret {

// Whether a verdict of earlier signatures may answer a scan.
enum class StalePolicy {
  kStrict,          // never
  kServeAndRescan,  // a clean one may, while the content is scanned again
};

struct ScanServiceSettings {
  SchedulerSettings queue;
  milliseconds scan_deadline{120'000};  // from the start of one scan to its SIGKILL
  CacheSharing sharing = CacheSharing::kNobody;
  StalePolicy stale = StalePolicy::kStrict;
  milliseconds stale_age = std::chrono::hours(48);  // of such a verdict, at most
};

// What answers one request: a verdict, or the operator's own word in its place. One of the two is null.
struct Answer {
  VerdictPtr verdict;
  bool cached = false;  // no scan was made for this request
  bool fresh = false;   // made with the signatures and engine that are in use now, or newer ones; an override always is
  OverridePtr overriding = nullptr;

  VerdictKind kind() const { return overriding != nullptr ? overriding->kind : verdict->kind(); }
  // It stands until signatures, engine or overrides change.
  bool IsLasting() const { return overriding != nullptr || (fresh && !verdict->IsPassing()); }
};

enum class ScanStatus { kUnknown, kQueued, kScanning, kDone };

// What is known of one content. `answer` is there exactly when `status` is kDone.
struct ScanState {
  ScanStatus status = ScanStatus::kUnknown;
  std::optional<Answer> answer;
  // Of a job that is not done.
  std::optional<std::uint64_t> size = std::nullopt;  // bytes
  std::optional<WallTime> submitted_at = std::nullopt;
  // Its job failed for good, and an operator may let it begin again.
  bool dead_letter = false;
};

struct ServiceStatus {
  EngineInfoPtr engine;          // null while no engine is ready
  std::string not_ready_reason;  // then
  std::size_t slots = 0;
  std::size_t waiting = 0;
  std::size_t long_waiting = 0;  // of them; the others are short
  std::size_t max_waiting = 0;   // of either kind
  milliseconds oldest_wait{0};
  std::size_t overrides = 0;  // in force
};

// The use cases behind every front door. Every method may be called from any executor and resumes on the caller's.
class ScanService {
 public:
  // Scans run on `engine_executor`; everything else must outlive the service. Verdicts are announced on `board`.
  // `claims` is asked before a scan when other nodes use the same cache; null when none do. `overrides` answer before
  // cache and engine; null when there are none.
  ScanService(ScanServiceSettings settings, Engine& engine, VerdictCache& cache, DoneBoard& board,
              aio::Executor engine_executor, const Clock& clock, Log& log, Telemetry& telemetry,
              ScanClaims* claims = nullptr, const OverrideBoard* overrides = nullptr);

  // Whether there is an engine.
  bool IsReady() const { return engine_.Current() != nullptr; }
  // Whether a new scan would be refused now: kUnavailable without an engine, kOverloaded when the queue is full. For
  // front doors to ask before they read a body.
  // Short contents and long ones are bounded apart; `size` may be a guess.
  Result<void> CheckAdmission(std::uint64_t size) const;
  seconds RetryAfter() const { return scheduler_.RetryAfter(); }
  // How long so many more scans would take, about.
  seconds TimeFor(std::uint64_t scans) const { return scheduler_.TimeFor(scans); }

  // What answers a scan of this content without one: an override, or a fresh verdict from the cache. Empty when it has
  // to be scanned.
  aio::Task<std::optional<Answer>> FindFresh(Digest digest);
  // FindFresh without waiting, and without a coroutine: empty when memory has no answer, whatever the cache has.
  std::optional<Answer> FindAtHand(const Digest& digest);
  // The same for a content that is here, and for a client that can be told that an answer is not fresh. With
  // StalePolicy::kServeAndRescan also a clean verdict that was made with earlier signatures, while the content is
  // scanned again in the background. When too much is being scanned again already, there is none.
  aio::Task<std::optional<Answer>> FindKnown(ContentPtr content);

  // What was found out about a content, as it answers for it now.
  Answer AnswerWith(const Digest& digest, VerdictPtr verdict, bool cached);
  // What stands where a verdict is kept of a content that an override answered for, so that nobody scanned it:
  // `unscannable`, which is never clean. Null while there is no engine to name.
  VerdictPtr NotScanned(std::uint64_t size) const;

  // The verdict of a content that FindFresh knew nothing of: from a scan, which is shared with everybody who asks for
  // the same content meanwhile, here or on another node; the most urgent of them decides how soon it begins. kTimeout
  // when `deadline` comes first, kOverloaded and kUnavailable as above. When the caller is cancelled and nobody else
  // waits for the scan, it ends too.
  aio::Task<Result<Answer>> Scan(ContentPtr content, SteadyTime deadline, Urgency urgency = Urgency::kUrgent);

  // A verdict of now: with the signatures and the engine in use, or newer ones (core/freshness.h).
  bool IsFresh(const Verdict& verdict) const;

  // What is known of a content, stale or fresh, without scanning it. kUnavailable when the cache cannot be read.
  aio::Task<Result<ScanState>> Find(Digest digest);
  // A lasting answer that Find would give, without waiting and without a coroutine; empty when that is for Find.
  std::optional<ScanState> FindNow(const Digest& digest);

  ServiceStatus Status() const;

  // Waits until every scan has been answered, at most until `deadline`, then cancels the rest. Engine executor.
  aio::Task<> Drain(SteadyTime deadline);

 private:
  struct Flight;
  using FlightPtr = std::shared_ptr<Flight>;
  // Whether this node scans a content: yes, another one does, or there is a verdict already.
  struct Turn {
    bool is_elsewhere = false;
    VerdictPtr verdict = nullptr;
  };
  class Seat;

  std::optional<Answer> FindOverride(const Digest& digest);
  Answer Hit(VerdictPtr verdict);  // counted
  // What memory or the cache has, counted as a look-up for a scan.
  aio::Task<std::optional<Answer>> FindVerdict(Digest digest);
  bool MayServeStale(const Verdict& verdict) const;
  bool RescanLater(const ContentPtr& content);
  aio::Task<> Rescan(ContentPtr content);
  // The verdict of a scan that has landed, while the cache may not have it yet.
  VerdictPtr FindLanded(const Digest& digest);
  // What memory or the cache has; a stale verdict only when neither has a fresh one.
  aio::Task<Result<VerdictPtr>> LookUp(Digest digest);
  FlightPtr Board(const ContentPtr& content, Urgency urgency);
  // Whether a verdict that was just made answers a scan: a queued one is there to try again what may have passed.
  bool IsAnswer(const Verdict& verdict, Urgency urgency) const;
  bool CanBeJoined(const Flight& flight, Urgency urgency) const;  // with the mutex held
  void Leave(const FlightPtr& flight);
  void Land(Flight& flight, Result<VerdictPtr> unless_set);
  aio::Task<> Fly(FlightPtr flight);
  aio::Task<Result<VerdictPtr>> Judge(Flight& flight);
  // Null when its scan gave way to short ones.
  aio::Task<Result<VerdictPtr>> JudgeInSlot(Flight& flight);
  // The verdict of a scan in `slot`; null when the scan gave way to short ones.
  aio::Task<Result<VerdictPtr>> ScanNow(Flight& flight, ScanScheduler::Slot& slot);
  // What the engine says; empty when the scan gave way.
  aio::Task<std::optional<Result<Verdict>>> AskEngine(ContentPtr content, ScanScheduler::Slot& slot);
  aio::Task<Turn> AskForTurn(Flight& flight);
  aio::Task<Turn> WaitForTurn(Flight& flight);
  aio::Task<> Remember(Digest digest, VerdictPtr verdict);

  const ScanServiceSettings settings_;
  Engine& engine_;
  VerdictCache& cache_;
  DoneBoard& board_;
  const aio::Executor engine_executor_;
  const Clock& clock_;
  Log& log_;
  Telemetry& telemetry_;
  ScanScheduler scheduler_;
  aio::TaskGroup tasks_;
  ScanClaims* const claims_;
  const OverrideBoard* const overrides_;
  Rescans rescans_;
  Standing reading_;
  Standing writing_;
  Standing claiming_;

  std::mutex mutex_;  // guards flights_ and the flights' seats
  std::unordered_map<Digest, FlightPtr, DigestHash> flights_;
};

}  // namespace lazaret
