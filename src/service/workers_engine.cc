#include "service/workers_engine.h"

#include <algorithm>
#include <utility>

namespace lazaret {
namespace {

// How often a job is looked at of which nothing was heard: news may be lost on the way.
constexpr seconds kLookAnyway{5};

}  // namespace

WorkersEngine::WorkersEngine(JobQueue& queue, DoneBoard& board, NewestEngine newest, std::size_t slots,
                             const Clock& clock)
    : queue_(queue), board_(board), newest_(std::move(newest)), slots_(slots), clock_(clock) {}

aio::Task<Result<Verdict>> WorkersEngine::Scan(ContentPtr content, SteadyTime deadline) {
  if (Current() == nullptr) co_return Fail(Errc::kUnavailable, NotReadyReason());
  const Digest id = content->digest();
  for (bool is_submitted = false;;) {
    DoneBoard::Seat seat(board_, id);
    if (!is_submitted) {
      const auto submitted = co_await queue_.Submit(std::move(content), std::nullopt);
      if (!submitted) co_return std::unexpected(submitted.error());
      is_submitted = true;
    } else if (const auto job = co_await queue_.Find(id)) {
      if (!*job) co_return Fail(Errc::kUnavailable, "the job of this scan was dropped");
      if ((*job)->IsFinished()) co_return *(*job)->verdict;
    }
    const SteadyTime now = clock_.SteadyNow();
    if (now >= deadline) co_return Fail(Errc::kTimeout, "no worker had judged the content when the deadline passed");
    const VerdictPtr verdict = co_await seat.Wait(std::min(deadline, now + kLookAnyway));
    // A passing one may be what the job is tried again for.
    if (verdict != nullptr && !verdict->IsPassing()) co_return *verdict;
  }
}

}  // namespace lazaret
