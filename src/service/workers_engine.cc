#include "service/workers_engine.h"

#include <algorithm>
#include <utility>

#include "aio/deadline.h"
#include "core/freshness.h"

namespace lazaret {
namespace {

// How often a job is looked at of which nothing was heard: news may be lost on the way.
constexpr seconds kLookAnyway{5};
// Before it is asked again what nobody may have told.
constexpr milliseconds kPause{100};

}  // namespace

WorkersEngine::WorkersEngine(JobQueue& queue, DoneBoard& board, NewestEngine newest, std::size_t slots,
                             const Clock& clock)
    : queue_(queue), board_(board), newest_(std::move(newest)), slots_(slots), clock_(clock) {}

bool WorkersEngine::IsAnswer(const Verdict& verdict) const {
  // A passing one may be what the job is tried again for; a stale one is of an earlier job of the same content.
  const EngineInfoPtr now = Current();
  return !verdict.IsPassing() && now != nullptr && IsFresh(*verdict.record().engine, *now, CacheSharing::kFleet);
}

aio::Task<Result<Verdict>> WorkersEngine::Scan(ContentPtr content, SteadyTime deadline) {
  if (Current() == nullptr) co_return Fail(Errc::kUnavailable, NotReadyReason());
  const Digest id = content->digest();
  for (bool is_submitted = false;;) {
    DoneBoard::Seat seat(board_, id);
    if (!is_submitted) {
      const auto submitted = co_await queue_.SubmitUrgent(std::move(content));
      if (!submitted) co_return std::unexpected(submitted.error());
      is_submitted = true;
    } else if (const auto job = co_await queue_.Find(id)) {
      if (!*job) co_return Fail(Errc::kUnavailable, "the job of this scan was dropped");
      if ((*job)->IsFinished()) co_return *(*job)->verdict;
    }
    const SteadyTime now = clock_.SteadyNow();
    if (now >= deadline) co_return Fail(Errc::kTimeout, "no worker had judged the content when the deadline passed");
    const VerdictPtr verdict = co_await seat.Wait(std::min(deadline, now + kLookAnyway));
    if (verdict == nullptr) {
      // The board may have been closed: then nothing is heard any more.
      co_await aio::SleepUntil(std::min(deadline, clock_.SteadyNow() + kPause));
    } else if (IsAnswer(*verdict)) {
      co_return *verdict;
    }
  }
}

}  // namespace lazaret
