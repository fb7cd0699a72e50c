#include "clamav/signature_manager.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "aio/caught.h"
#include "aio/deadline.h"
#include "base/exception.h"

namespace lazaret::clamav {
namespace asio = boost::asio;

namespace {

constexpr milliseconds kStartPause{500};  // doubled after each failure
constexpr milliseconds kLongestStartPause = seconds(30);
constexpr seconds kStableTime{60};  // a zygote that served this long was not a failure

}  // namespace

struct SignatureManager::Order {
  enum class Kind { kReload, kRollback } kind;
  bool force = false;
  std::string reason = {};
  aio::Broadcast<Result<Change>> answer = {};
};

SignatureManager::SignatureManager(SignatureSettings settings, ScannerPool& pool, aio::BlockingPool& disk,
                                   const Clock& clock, Log& log, Telemetry& telemetry)
    : settings_(std::move(settings)),
      pool_(pool),
      disk_(disk),
      clock_(clock),
      log_(log),
      telemetry_(telemetry),
      tasks_(pool.parts().executor,
             [this](std::exception_ptr error) { log_.Error("signature task failed", {{"error", WhatOf(error)}}); }),
      loader_(settings_.loader, pool.parts(), disk),
      alarm_(settings_.alarm),
      work_(tasks_.executor(), SteadyTime::max()),
      // After a drain the set in use must be there to go back to, whatever is written into the files.
      snapshot_by_(settings_.change.mode == ReloadMode::kDrain ? SnapshotBy::kCopies : SnapshotBy::kLinks),
      retry_pause_(settings_.retry_pause),
      start_pause_(kStartPause) {
  if (!settings_.test_set) {
    status_.Update([&](SignatureStatus& s) { s.directory = settings_.directory.native(); });
  }
}

SignatureManager::~SignatureManager() = default;

void SignatureManager::Start() {
  pool_.Notify([this](const Error& error) { OnDeath(error); }, [this](const Verdict& verdict) { OnVerdict(verdict); });
  start_at_ = clock_.SteadyNow();
  tasks_.Spawn(Run());
  if (settings_.test_set) return;
  watch_ = std::make_unique<SignatureWatch>(settings_.directory, tasks_.executor(), log_);
  tasks_.Spawn(WatchDirectory());
}

aio::Task<> SignatureManager::Stop() {
  stopping_ = true;
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
  for (const auto& order : orders_) order->answer.Set(Fail(Errc::kUnavailable, "the server is ending"));
  orders_.clear();
}

void SignatureManager::Wake() { work_.expires_at(SteadyTime::min()); }

SteadyTime SignatureManager::NextWork() const {
  if (!orders_.empty()) return SteadyTime::min();
  if (touched_) return SteadyTime::min();
  if (start_at_) return *start_at_;
  const SteadyTime look = settings_.test_set ? SteadyTime::max() : next_look_;
  return std::min(look, retry_at_.value_or(SteadyTime::max()));
}

aio::Task<> SignatureManager::Run() {
  for (;;) {
    while (NextWork() > clock_.SteadyNow()) {
      work_.expires_at(NextWork());
      co_await work_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    // What is broken in one piece of work must not end the care for the signatures.
    if (const auto done = co_await aio::Caught(Work()); !done) {
      log_.Error("signature task failed", {{"error", done.error().what}});
      if (!pool_.IsServing()) start_at_ = clock_.SteadyNow() + kLongestStartPause;
    }
  }
}

aio::Task<> SignatureManager::Work() {
  if (start_at_) {
    touched_ = false;
    co_await StartUp();
    if (!start_at_) co_return;
    for (const auto& order : std::exchange(orders_, {})) {
      order->answer.Set(Fail(Errc::kUnavailable, pool_.NotReadyReason()));
    }
  } else if (!orders_.empty()) {
    auto order = std::move(orders_.front());
    orders_.pop_front();
    co_await Fulfil(std::move(order));
  } else {
    const bool again = retry_at_ && *retry_at_ <= clock_.SteadyNow();
    touched_ = false;
    co_await Look(again);
  }
}

aio::Task<> SignatureManager::WatchDirectory() {
  for (;;) {
    co_await watch_->WaitForChange();
    co_await watch_->WaitUntilSettled(settings_.settle, clock_.SteadyNow() + settings_.settle_limit);
    touched_ = true;
    Wake();
  }
}

aio::Task<Result<void>> SignatureManager::OpenStore() {
  if (changer_ != nullptr) co_return Result<void>();
  auto store = co_await disk_.Run([&] {
    return SignatureStore::Open(settings_.state_directory,
                                settings_.test_set ? std::filesystem::path() : settings_.directory);
  });
  if (!store) co_return std::unexpected(store.error());
  changer_ =
      std::make_unique<SetChanger>(settings_.change, *std::move(store), loader_, pool_, status_, disk_, clock_, log_);
  co_return Result<void>();
}

// Nothing is in use.
aio::Task<> SignatureManager::StartUp() {
  auto outcome = co_await FindStart();
  if (outcome) {
    OnChanged(true);
    co_return;
  }
  pool_.SetNotReady(outcome.error().reason);
  log_.Error("engine cannot start, trying again",
             {{"error", outcome.error().reason}, {"pause_ms", start_pause_.count()}});
  start_at_ = clock_.SteadyNow() + start_pause_;
  start_pause_ = std::min(start_pause_ * 2, kLongestStartPause);
}

// The directory's set comes first, unless it was gone back from or another one was in use a moment ago; a set that was
// in use once is better than none.
aio::Task<SetChanger::Outcome> SignatureManager::FindStart() {
  if (const auto opened = co_await OpenStore(); !opened) {
    co_return std::unexpected(Refusal{RefusalKind::kNoDisk, opened.error().what});
  }
  bool kept_first = in_use_since_ != SteadyTime();
  if (const auto& pin = changer_->store().pin(); pin && !kept_first) {
    const auto digest = co_await disk_.Run([&] { return changer_->store().DigestOfSource(); });
    kept_first = digest && *digest == pin->refused;
    if (kept_first) log_.Warning("signatures stay rolled back", {{"refused", pin->label}, {"why", pin->reason}});
  }
  next_look_ = SteadyTime();  // the directory may hold another set than the kept one
  if (kept_first) {
    if (auto outcome = co_await changer_->LoadKept()) co_return outcome;
    if (changer_->store().pin()) log_.Error("signatures that were gone back from are used for want of others");
  }
  auto outcome = co_await LoadAndMark(true);
  if (outcome) {
    next_look_ = clock_.SteadyNow() + settings_.check_interval;
    co_return outcome;
  }
  Refuse(changer_->tried(), outcome.error());
  if (kept_first || !changer_->store().current()) co_return outcome;
  log_.Error("signatures cannot be used, going back to those that were in use last",
             {{"error", outcome.error().reason}});
  auto kept = co_await changer_->LoadKept();
  co_return kept ? kept : outcome;
}

aio::Task<SetChanger::Outcome> SignatureManager::LoadAndMark(bool strict) {
  const auto before = co_await disk_.Run([&] { return MarkFiles(settings_.directory); });
  auto outcome = co_await changer_->LoadSource(snapshot_by_, strict, ask_);
  // The snapshot's hard links have moved st_ctim.
  const auto after = co_await disk_.Run([&] { return MarkFiles(settings_.directory); });
  if (before) seen_ = after && SameContent(*before, *after) ? *after : *before;
  if (outcome) Settle();
  co_return outcome;
}

void SignatureManager::OnDeath(const Error& error) {
  if (clock_.SteadyNow() - in_use_since_ > kStableTime) start_pause_ = kStartPause;
  log_.Error("zygote ended, starting another", {{"error", error.what}, {"pause_ms", start_pause_.count()}});
  telemetry_.OnZygoteRestarted();
  status_.Update([](SignatureStatus& s) { s.engine = nullptr; });
  start_at_ = clock_.SteadyNow() + start_pause_;
  start_pause_ = std::min(start_pause_ * 2, kLongestStartPause);
  Wake();
}

void SignatureManager::OnChanged(bool trusted) {
  in_use_since_ = clock_.SteadyNow();
  if (pool_.IsServing()) start_at_.reset();  // unless it has died since
  alarm_.StartSet(clock_.SteadyNow(), trusted);
  telemetry_.OnSignatures(SignatureEvent::kLoaded);
}

// Nothing of the directory is left to be tried again.
void SignatureManager::Settle() {
  retry_at_.reset();
  retry_pause_ = settings_.retry_pause;
  given_up_.reset();
}

void SignatureManager::Refuse(const std::optional<Digest>& digest, const Refusal& refusal) {
  std::optional<WallTime> retry_at;
  // A turn has been waited for already, and that it did not come is nobody's fault.
  const milliseconds pause = refusal.kind == RefusalKind::kNoTurn ? settings_.settle : retry_pause_;
  if (IsPassing(refusal.kind)) {
    retry_at_ = clock_.SteadyNow() + pause;
    retry_at = clock_.Now() + pause;
    if (refusal.kind != RefusalKind::kNoTurn) {
      retry_pause_ = std::min(retry_pause_ * 2, std::max(settings_.check_interval, settings_.retry_pause));
    }
  } else {
    Settle();
    given_up_ = digest;
  }
  status_.Update([&](SignatureStatus& s) { s.last_refusal = RefusedSet{digest, refusal, clock_.Now(), retry_at}; });
  if (refusal.kind == RefusalKind::kNoTurn) {
    log_.Info("changed signatures wait for their turn", {{"reason", refusal.reason}});
    return;
  }
  telemetry_.OnSignatures(SignatureEvent::kRefused);
  if (!pool_.IsServing()) return;  // said by whoever tries to start
  log_.Error("signatures refused, the old ones stay in use",
             {{"kind", ToString(refusal.kind)},
              {"reason", refusal.reason},
              {"set", digest ? digest->Hex().substr(0, 8) : "-"},
              {"retry_s", retry_at ? std::chrono::duration<double>(pause).count() : 0.0}});
}

// Whether the directory holds a set that is to be loaded. `again`: also when it is as it was.
aio::Task<bool> SignatureManager::HasChange(bool again) {
  next_look_ = clock_.SteadyNow() + settings_.check_interval;
  status_.Update([&](SignatureStatus& s) { s.looked_at = clock_.Now(); });
  const auto marks = co_await disk_.Run([&] { return MarkFiles(settings_.directory); });
  if (marks && !again && seen_ == *marks) co_return false;
  if (!marks || marks->empty()) {
    const bool is_new = !seen_ || !seen_->empty();
    seen_ = FileMarks();
    if (is_new) {
      Refuse({}, {RefusalKind::kEmpty,
                  marks ? "there are no signatures any more in " + settings_.directory.native() : marks.error().what});
    }
    co_return false;
  }
  const auto digest = co_await disk_.Run([&] { return changer_->store().DigestOfSource(); });
  if (!digest) {
    seen_.reset();
    Refuse({}, {RefusalKind::kUnreadable, digest.error().what});
    co_return false;
  }
  if (seen_ && snapshot_by_ == SnapshotBy::kLinks && IsWrittenInto(*seen_, *marks)) {
    log_.Warning("signature files are written into, not replaced: copies of them are made from now on",
                 {{"note", "the set in use cannot be gone back to"}});
    snapshot_by_ = SnapshotBy::kCopies;
  }
  seen_ = *marks;
  const SignatureStore& store = changer_->store();
  const bool is_pinned = store.pin() && store.pin()->refused == *digest;
  const bool is_in_use = store.current() && store.current()->snapshot.digest == *digest;
  if (is_pinned || is_in_use || (!again && given_up_ == *digest)) co_return false;
  co_return true;
}

aio::Task<> SignatureManager::Look(bool again) {
  retry_at_.reset();
  if (settings_.test_set) co_return;
  if (co_await HasChange(again)) (void)co_await LoadSource(true);
}

aio::Task<Result<SignatureManager::Change>> SignatureManager::LoadSource(bool strict) {
  const auto outcome = co_await LoadAndMark(strict);
  if (!outcome) {
    Refuse(changer_->tried(), outcome.error());
    if (outcome.error().kind == RefusalKind::kNoTurn) {
      // It is to be asked for again also when something else, such as a rollback, has come in between.
      seen_.reset();
      next_look_ = clock_.SteadyNow() + settings_.settle;
    }
    if (!pool_.IsServing() && !start_at_) start_at_ = clock_.SteadyNow();
    co_return Fail(Errc::kUnavailable, outcome.error().reason);
  }
  if (*outcome) OnChanged(true);
  co_return Change{*outcome, pool_.Current()};
}

aio::Task<> SignatureManager::Fulfil(std::shared_ptr<Order> order) {
  // Whatever ends this coroutine, nobody is left waiting.
  struct Answering {
    Order& order;
    ~Answering() { order.answer.Set(Fail(Errc::kUnavailable, "the change of the signatures was ended")); }
  } answering{*order};
  auto done =
      order->kind == Order::Kind::kReload ? co_await DoReload(order->force) : co_await DoRollback(order->reason);
  order->answer.Set(std::move(done));
}

aio::Task<Result<SignatureManager::Change>> SignatureManager::DoReload(bool force) {
  if (settings_.test_set) co_return Change{false, pool_.Current()};
  if (const auto& pin = changer_->store().pin()) {
    const auto digest = co_await disk_.Run([&] { return changer_->store().DigestOfSource(); });
    if (digest && *digest == pin->refused) {
      if (!force) {
        co_return Fail(Errc::kUnavailable,
                       fmt::format("the directory still holds the signatures that were gone back from ({}): {}",
                                   pin->label, pin->reason));
      }
      co_await changer_->LiftPin();
    }
  }
  co_return co_await LoadSource(!force);
}

aio::Task<Result<SignatureManager::Change>> SignatureManager::DoRollback(std::string reason) {
  if (!changer_->store().previous()) co_return Fail(Errc::kNotFound, "no earlier signatures are kept");
  const KeptSet left = *changer_->store().current();
  const auto outcome = co_await changer_->GoBack(reason, ask_);
  if (!outcome) {
    if (!pool_.IsServing() && !start_at_) start_at_ = clock_.SteadyNow();
    // Nobody may be waiting for the answer: an alarm rolls back by itself.
    log_.Error(
        "signatures could not be rolled back",
        {{"why", reason}, {"error", outcome.error().reason}, {"cure", "lazaret signatures rollback, or an override"}});
    co_return Fail(Errc::kUnavailable, "the earlier signatures cannot be used: " + outcome.error().reason);
  }
  log_.Warning("signatures rolled back", {{"refused", left.summary.label}, {"why", reason}});
  Refuse(left.snapshot.digest, {RefusalKind::kRolledBack, reason});
  OnChanged(false);
  telemetry_.OnSignatures(SignatureEvent::kRolledBack);
  co_return Change{true, pool_.Current()};
}

void SignatureManager::OnVerdict(const Verdict& verdict) {
  if (verdict.kind() == VerdictKind::kUnscannable || verdict.record().engine != pool_.Current()) return;
  if (!alarm_.Count(verdict.kind() == VerdictKind::kInfected, clock_.SteadyNow())) return;
  const DetectionCounts before = alarm_.before();
  const DetectionCounts after = alarm_.after();
  const SignatureStatus status = status_.Get();
  const bool goes_back = settings_.roll_back_on_alarm && status.previous;
  status_.Update([&](SignatureStatus& s) {
    s.last_jump = DetectionJump{verdict.record().engine->signature_set,
                                before.scans,
                                before.detections,
                                after.scans,
                                after.detections,
                                clock_.Now(),
                                goes_back};
  });
  telemetry_.OnSignatures(SignatureEvent::kDetectionsJumped);
  log_.Error("detections jumped after a change of the signatures", {{"set", verdict.record().engine->signature_label},
                                                                    {"detections", after.detections},
                                                                    {"scans", after.scans},
                                                                    {"detections_before", before.detections},
                                                                    {"scans_before", before.scans},
                                                                    {"rolls_back", goes_back},
                                                                    {"cure", "lazaret signatures rollback"}});
  if (!goes_back) return;
  Queue(std::make_shared<Order>(Order::Kind::kRollback, false,
                                fmt::format("detections jumped: {} of {} contents, {} of {} before", after.detections,
                                            after.scans, before.detections, before.scans)));
}

void SignatureManager::Queue(std::shared_ptr<Order> order) {
  if (stopping_) return order->answer.Set(Fail(Errc::kUnavailable, "the server is ending"));
  if (order->kind == Order::Kind::kRollback) {
    if (changer_ != nullptr) changer_->GiveUpWaiting();
    orders_.push_front(std::move(order));
  } else {
    orders_.push_back(std::move(order));
  }
  Wake();
}

aio::Task<Result<SignatureManager::Change>> SignatureManager::Place(std::shared_ptr<Order> order) {
  asio::post(tasks_.executor(), [this, order] { Queue(order); });
  auto answer = co_await order->answer.Wait(SteadyTime::max());
  if (!answer) co_return Fail(Errc::kCancelled, "nobody waits for this change any more");
  co_return *std::move(answer);
}

aio::Task<Result<SignatureManager::Change>> SignatureManager::Reload(bool force) {
  co_return co_await Place(std::make_shared<Order>(Order::Kind::kReload, force));
}

aio::Task<Result<SignatureManager::Change>> SignatureManager::Rollback(std::string reason) {
  co_return co_await Place(std::make_shared<Order>(Order::Kind::kRollback, false, std::move(reason)));
}

void SignatureManager::RequestReload() {
  asio::post(tasks_.executor(), [this] { Queue(std::make_shared<Order>(Order::Kind::kReload)); });
}

}  // namespace lazaret::clamav
