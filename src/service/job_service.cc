#include "service/job_service.h"

#include <utility>

namespace lazaret {

namespace {

// A damaged queue is for the operator; the client can only come again.
Error AsUnavailable(Error error) {
  if (error.code == Errc::kCorrupt) error.code = Errc::kUnavailable;
  return error;
}

}  // namespace

JobService::JobService(ScanService& scans, JobQueue& queue, Outbox& outbox, DoneBoard& board, const Clock& clock,
                       Telemetry& telemetry)
    : scans_(scans), queue_(queue), outbox_(outbox), board_(board), clock_(clock), telemetry_(telemetry) {}

Result<void> JobService::CheckAdmission(std::uint64_t size) const {
  auto room = queue_.CheckRoom(size);
  if (!room) return std::unexpected(AsUnavailable(std::move(room).error()));
  return room;
}

seconds JobService::RetryAfter() const { return scans_.TimeFor(queue_.Counts().queued); }

aio::Task<Result<std::optional<Submission>>> JobService::AnswerKnown(Digest id, std::optional<Callback> callback) {
  auto known = co_await scans_.FindFresh(id);
  if (!known || !known->IsLasting()) co_return std::nullopt;
  if (callback) {
    // Who is called back hears of the override that is in force then.
    VerdictPtr verdict = known->overriding != nullptr ? scans_.NotScanned(0) : known->verdict;
    if (verdict == nullptr) co_return std::nullopt;
    auto added = co_await outbox_.Add(id, std::move(verdict), *std::move(callback));
    if (!added) co_return std::unexpected(added.error());
  }
  co_return Submission{{.status = ScanStatus::kDone, .answer = std::move(known)}, false};
}

aio::Task<Result<Submission>> JobService::Submit(ContentPtr content, std::optional<Callback> callback) {
  const Digest id = content->digest();
  const std::uint64_t size = content->size();
  auto known = co_await AnswerKnown(id, callback);
  if (!known) co_return std::unexpected(known.error());
  if (*known) co_return **std::move(known);
  const auto submitted = co_await queue_.Submit(std::move(content), std::move(callback));
  if (!submitted) co_return std::unexpected(AsUnavailable(submitted.error()));
  const bool is_new = *submitted == Submitted::kQueued;
  telemetry_.OnJob(is_new ? JobEvent::kQueued : JobEvent::kAttached);
  Submission submission{{.status = ScanStatus::kQueued, .answer = {}, .size = size}, true};
  if (!is_new) {
    // The promise is given already: a look-up that fails must not take it back.
    if (auto state = co_await Find(id); state && state->status != ScanStatus::kUnknown) submission.state = *state;
    submission.is_queued = submission.state.status != ScanStatus::kDone;
  }
  co_return submission;
}

ScanState JobService::StateOf(const Job& job, ScanState known) const {
  if (!job.IsFinished()) {
    // The job speaks for itself, unless a scan of the same content is under way or has just found out.
    if (known.status == ScanStatus::kUnknown || known.status == ScanStatus::kDone) {
      known.status = job.state == JobState::kQueued ? ScanStatus::kQueued : ScanStatus::kScanning;
      known.answer.reset();
    }
    known.size = job.size;
    known.submitted_at = job.submitted_at;
    return known;
  }
  if (known.status == ScanStatus::kQueued || known.status == ScanStatus::kScanning) return known;
  const bool is_newer =
      !known.answer || (job.verdict->reason() != Reason::kOverridden &&
                        known.answer->verdict->record().scanned_at <= job.verdict->record().scanned_at);
  if (!is_newer) return known;
  return {.status = ScanStatus::kDone,
          .answer = Answer{job.verdict, true, scans_.IsFresh(*job.verdict)},
          .dead_letter = job.state == JobState::kDead};
}

aio::Task<Result<ScanState>> JobService::Find(Digest id) {
  auto known = co_await scans_.Find(id);
  const bool is_final = known && known->answer && known->answer->IsLasting();
  if (is_final) co_return *std::move(known);
  const auto job = co_await queue_.Find(id);
  if (!job) {
    // Without the queue, what else is known is still true.
    if (known && known->status != ScanStatus::kUnknown) co_return *std::move(known);
    co_return std::unexpected(job.error());
  }
  if (!*job) co_return known;
  co_return StateOf(**job, known ? *std::move(known) : ScanState{});
}

aio::Task<Result<ScanState>> JobService::Await(Digest id, SteadyTime until) {
  for (;;) {
    DoneBoard::Seat seat(board_, id);
    auto state = co_await Find(id);
    const bool goes_on = state && (state->status == ScanStatus::kQueued || state->status == ScanStatus::kScanning);
    if (!goes_on || clock_.SteadyNow() >= until) co_return state;
    VerdictPtr verdict = co_await seat.Wait(until);
    if (verdict == nullptr) co_return co_await Find(id);
    // A passing one may be what the job is tried again for.
    if (verdict->IsPassing()) continue;
    co_return ScanState{.status = ScanStatus::kDone, .answer = scans_.AnswerWith(id, std::move(verdict), true)};
  }
}

}  // namespace lazaret
