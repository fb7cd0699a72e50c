#include "fleet/job_leases.h"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "aio/deadline.h"
#include "core/verdict_encoding.h"
#include "fleet/call_text.h"
#include "fleet/job_errors.h"

namespace lazaret::fleet {
namespace {

// Before a job is taken again whose content could not be fetched.
constexpr milliseconds kUnloadedPause{1000};
constexpr std::size_t kMaxNote = 1024;
constexpr seconds kUntakePause{1};
constexpr int kUntakeTries = 5;
constexpr Lanes kLargeLane = kBothLanes & ~kFirstLane;

Outlook JobsAhead(const ShardBoard::View& view) {
  Outlook outlook{.heads = view.figures.heads, .due = std::nullopt, .seq = view.figures.seq};
  if (view.figures.next_job) outlook.due = view.at + std::min(*view.figures.next_job, kLongest / 10);
  return outlook;
}

Lanes LanesOf(const ShardKeys& keys, const StreamEntry& entry) {
  if (entry.stream == keys.small() || entry.stream == keys.urgent_small()) return kFirstLane;
  if (entry.stream == keys.large() || entry.stream == keys.urgent_large()) return kLargeLane;
  return entry.fields.size() == 2 && entry.fields[1].ends_with("small") ? kFirstLane : kLargeLane;
}

}  // namespace

JobLeases::JobLeases(ShardCalls& calls, JobContents& contents, aio::TaskGroup& tasks, aio::TaskGroup& endings,
                     const Clock& clock, Log& log)
    : calls_(calls),
      contents_(contents),
      endings_(endings),
      clock_(clock),
      log_(log),
      node_(fmt::format("{}:{:016x}", calls.settings().node, RandomNumber())),
      watch_(WatchParts(tasks)),
      taker_(tasks, watch_, clock, [this](std::uint32_t shard, JobKind kind) { return TryTake(shard, kind); }) {}

ShardWatch::Parts JobLeases::WatchParts(aio::TaskGroup& tasks) {
  return {
      .client = calls_.client(),
      .tasks = tasks,
      .clock = clock_,
      .settings = calls_.settings(),
      .outlook = [this](std::uint32_t shard) { return calls_.board().Of(shard).transform(JobsAhead); },
      .streams =
          [this](std::uint32_t shard) {
            const ShardKeys& keys = calls_.keys(shard);
            return Texts{keys.urgent_small(), keys.urgent_large(), keys.small(), keys.large(), keys.wake()};
          },
      .lanes_of = [this](std::uint32_t shard, const StreamEntry& entry) { return LanesOf(calls_.keys(shard), entry); }};
}

void JobLeases::Spawn(std::function<aio::Task<>()> make) {
  boost::asio::post(endings_.executor(), [&endings = endings_, make = std::move(make)] { endings.Spawn(make()); });
}

aio::Task<> JobLeases::ReleaseLater(Lease lease) { (void)co_await Release(lease); }

aio::Task<> JobLeases::RenewLater(Lease lease) { (void)co_await Renew(lease); }

aio::Task<Result<std::optional<JobLeases::Held>>> JobLeases::TryTake(std::uint32_t shard, JobKind kind) {
  const std::uint64_t token = RandomNumber();
  Texts arguments = {kind == JobKind::kSmall ? "small" : "any", node_, std::to_string(token),
                     MillisecondsText(calls_.settings().policy.lease)};
  // Never repeated blindly: each time it would be another job.
  auto answer = co_await calls_.RunOnce(shard, calls_.scripts().take, std::move(arguments));
  if (!answer) {
    if (MayHaveBeenDone(answer.error())) Spawn([this, shard, token] { return Untake(shard, token); });
    co_return std::unexpected(JobErrorOf(std::move(answer.error())));
  }
  if (answer->status == 0) co_return std::nullopt;
  auto taken = ParseTaken(std::move(answer->more));
  if (!taken) {
    log_.Error("damaged job in Redis", {{"error", taken.error().what}});
    co_return std::unexpected(std::move(taken.error()));
  }
  const Lease lease{.id = taken->id, .token = token};
  co_return Held(Leased{*std::move(taken), lease},
                 [this](const Leased& leased) { Spawn([this, given = leased.lease] { return ReleaseLater(given); }); });
}

aio::Task<> JobLeases::Untake(std::uint32_t shard, std::uint64_t token) {
  for (int i = 0; i < kUntakeTries; ++i) {
    Texts arguments = {node_, std::to_string(token)};
    const auto answer = co_await calls_.Run(shard, calls_.scripts().untake, std::move(arguments));
    if (answer && answer->status == 1) co_return;
    // It may still be on its way; after that its lease ends.
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + kUntakePause);
  }
}

aio::Task<Result<std::optional<LeasedJob>>> JobLeases::Take(JobKind kind, SteadyTime until) {
  auto held = co_await taker_.Take(kind == JobKind::kSmall ? kFirstLane : kBothLanes, kind, until);
  if (!held) co_return std::unexpected(std::move(held.error()));
  if (!*held) co_return std::nullopt;
  Leased& leased = ***held;
  const SteadyTime begun = std::chrono::steady_clock::now();
  auto content = co_await contents_.Load(
      leased.job, [this, lease = leased.lease] { Spawn([this, lease] { return RenewLater(lease); }); });
  const bool is_lost = !content && content.error().code == Errc::kCorrupt;
  // What cannot be read on this node, such as a directory that is not mounted, is an attempt that failed: the job may
  // begin again, here or elsewhere, but not for ever, and not before those behind it.
  const bool is_unreadable = !content && leased.job.place.kind == ContentPlace::Kind::kFile;
  if (!content && !is_lost && !is_unreadable) {
    // By no fault of the job's: it is given back, and keeps its place if only the taker has gone.
    if (content.error().code != Errc::kCancelled) {
      (*held)->Keep();
      (void)co_await OnLease(leased.lease, calls_.scripts().give_back, {"0", MillisecondsText(kUnloadedPause), ""});
    }
    co_return std::unexpected(std::move(content.error()));
  }
  if (std::chrono::steady_clock::now() - begun > calls_.settings().policy.lease / 4) {
    auto renewed = co_await Renew(leased.lease);
    if (!renewed) co_return std::unexpected(std::move(renewed.error()));
  }
  // Nobody would hear of it.
  const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != boost::asio::cancellation_type::none) {
    co_return Fail(Errc::kCancelled, "cancelled while a job was being taken");
  }
  if (is_lost) log_.Error("content of a job lost", {{"id", leased.lease.id.Hex()}, {"why", content.error().what}});
  (*held)->Keep();
  co_return LeasedJob{.lease = leased.lease,
                      .size = leased.job.size,
                      .attempts = leased.job.attempts,
                      .lost = leased.job.lost,
                      .content = std::move(content)};
}

aio::Task<Result<void>> JobLeases::OnLease(Lease lease, const redis::Script& script, Texts more) {
  Texts arguments = {lease.id.Hex(), std::to_string(lease.token), NewCall()};
  std::ranges::move(more, std::back_inserter(arguments));
  auto answer = co_await calls_.Run(calls_.ShardOf(lease.id), script, std::move(arguments));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (answer->status == 1) co_return Result<void>();
  co_return Fail(Errc::kNotFound, fmt::format("the lease has been lost of job {}", lease.id.Hex()));
}

aio::Task<Result<void>> JobLeases::Renew(Lease lease) {
  return OnLease(lease, calls_.scripts().renew, {MillisecondsText(calls_.settings().policy.lease), node_});
}

aio::Task<Result<void>> JobLeases::Finish(Lease lease, VerdictPtr verdict, JobState end) {
  if (verdict == nullptr) throw std::logic_error("a job finished without a verdict");
  if (end != JobState::kDone && end != JobState::kDead) throw std::logic_error("a job finished in an unfinished state");
  std::string reason = fmt::format("{}: {}", ToString(verdict->reason()), verdict->detail()).substr(0, kMaxNote);
  return OnLease(lease, calls_.scripts().finish,
                 {std::to_string(static_cast<int>(end)), EncodeVerdict(lease.id, *verdict), std::move(reason)});
}

aio::Task<Result<void>> JobLeases::Retry(Lease lease, milliseconds pause, std::string why) {
  return OnLease(lease, calls_.scripts().give_back, {"1", MillisecondsText(pause), why.substr(0, kMaxNote)});
}

aio::Task<Result<void>> JobLeases::Release(Lease lease) {
  return OnLease(lease, calls_.scripts().give_back, {"0", "0", ""});
}

}  // namespace lazaret::fleet
