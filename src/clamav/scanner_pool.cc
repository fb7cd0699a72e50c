#include "clamav/scanner_pool.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "aio/deadline.h"
#include "base/exception.h"
#include "clamav/engine_identity.h"

namespace lazaret::clamav {
namespace asio = boost::asio;

namespace {

constexpr seconds kLoadTime{600};           // a zygote that has not loaded by then hangs
constexpr seconds kEndTime{2};              // for a zygote to clean up
constexpr milliseconds kRestartPause{500};  // doubled after each failure
constexpr seconds kLongestRestartPause{30};
constexpr seconds kStableTime{60};  // a zygote that served this long was not a failure
constexpr milliseconds kForkPause{500};  // before replacing a scanner that died young
constexpr seconds kWatchInterval{5};     // a fork takes milliseconds

std::string DescribeEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal_number = WTERMSIG(wait_status);
    const char* name = ::sigabbrev_np(signal_number);
    return fmt::format("signal {}{}", name != nullptr ? "SIG" : "", name != nullptr ? name : std::to_string(signal_number));
  }
  return fmt::format("exit status {}", WEXITSTATUS(wait_status));
}

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

double MillisecondsSince(SteadyTime start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

// A scanner at work. Unless it is given back in good order, its end kills the process, so that nothing that went
// wrong in one scan can touch the next.
class ScannerPool::Lease {
 public:
  Lease(ScannerPool& pool, ScannerPtr scanner) : pool_(pool), scanner_(std::move(scanner)) { ++pool_.busy_count_; }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    --pool_.busy_count_;
    if (scanner_ != nullptr) scanner_->Kill(kill_as_);
  }

  ScannerProcess& scanner() { return *scanner_; }
  void KillAs(ScannerEnd why) { kill_as_ = why; }
  void GiveBack(bool is_last) { pool_.ReturnScanner(std::exchange(scanner_, nullptr), is_last); }

 private:
  ScannerPool& pool_;
  ScannerPtr scanner_;
  ScannerEnd kill_as_ = ScannerEnd::kCancelled;
};

ScannerPool::ScannerPool(ScannerPoolSettings settings, aio::Executor executor, aio::BlockingPool& disk,
                         const Clock& clock, Log& log, Telemetry& telemetry)
    : settings_(std::move(settings)),
      executor_(std::move(executor)),
      disk_(disk),
      clock_(clock),
      log_(log),
      telemetry_(telemetry),
      tasks_(executor_,
             [this](std::exception_ptr error) {
               log_.Error("scanner pool task failed", {{"error", WhatOf(error)}});
             }),
      scanners_(settings_.slots),
      not_ready_reason_("the signatures are being loaded") {}

ScannerPool::~ScannerPool() = default;

void ScannerPool::Start() {
  tasks_.Spawn(Supervise());
  tasks_.Spawn(WatchZygote());
}

aio::Task<> ScannerPool::Stop() {
  stopping_ = true;
  SetNotReady("the server is ending");
  if (zygote_ != nullptr) co_await zygote_->End(clock_.SteadyNow() + kEndTime);
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
  DropScanners();
}

EngineInfoPtr ScannerPool::Current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

std::string ScannerPool::NotReadyReason() const {
  std::lock_guard lock(mutex_);
  return not_ready_reason_;
}

void ScannerPool::SetNotReady(std::string reason) {
  std::lock_guard lock(mutex_);
  current_ = nullptr;
  not_ready_reason_ = std::move(reason);
}

ScannerPool::Counts ScannerPool::counts() const {
  const std::size_t idle = idle_count_;
  const std::size_t busy = busy_count_;
  return {idle, busy, settings_.slots - std::min(settings_.slots, idle + busy)};
}

aio::Task<> ScannerPool::Supervise() {
  milliseconds pause = kRestartPause;
  for (;;) {
    const SteadyTime started = clock_.SteadyNow();
    const Error error = co_await RunZygote();
    if (stopping_) co_return;  // Stop lets the zygote clean up before it goes
    const bool served = Current() != nullptr;
    loaded_ = nullptr;
    SetNotReady(error.what);
    DropScanners();
    zygote_.reset();
    if (served && clock_.SteadyNow() - started > kStableTime) pause = kRestartPause;
    log_.Error(served ? "zygote ended, starting another" : "engine cannot start, trying again",
               {{"error", error.what}, {"pause_ms", pause.count()}});
    if (served) telemetry_.OnZygoteRestarted();
    co_await aio::SleepUntil(clock_.SteadyNow() + pause);
    pause = std::min<milliseconds>(pause * 2, kLongestRestartPause);
  }
}

std::filesystem::path ScannerPool::TempDirectory() const { return settings_.state_directory / "scanners"; }

Result<SignatureSnapshot> ScannerPool::MakeSnapshot() const {
  const auto into = settings_.state_directory / "signatures";
  std::error_code failed;
  std::filesystem::create_directories(TempDirectory(), failed);
  // Without private mounts the scanners' user goes through it.
  (void)::chmod(TempDirectory().c_str(), 0711);
  if (failed) return std::unexpected(SystemError("creating " + TempDirectory().native(), failed.value()));
  return settings_.test_set ? MakeTestSnapshot(into) : TakeSnapshot(settings_.signature_directory, into);
}

aio::Task<Error> ScannerPool::RunZygote() {
  const auto snapshot = co_await disk_.Run([this] { return MakeSnapshot(); });
  if (!snapshot) co_return snapshot.error();
  auto zygote = Zygote::Spawn(settings_.scanner_program, executor_);
  if (!zygote) co_return zygote.error();
  zygote_ = *std::move(zygote);

  wire::LoadRequest load = settings_.limits;
  load.signature_directory = snapshot->directory.native();
  load.temp_directory = TempDirectory().native();
  load.slots = static_cast<std::uint32_t>(settings_.slots);
  if (auto sent = zygote_->Send(wire::Encode(load)); !sent) co_return sent.error();

  const SteadyTime loaded_by = clock_.SteadyNow() + kLoadTime;
  for (;;) {
    const SteadyTime deadline = Current() != nullptr ? SteadyTime::max() : loaded_by;
    auto packet = co_await aio::WithDeadline(zygote_->Receive(), deadline, "loading the signatures took too long");
    heard_since_watch_ = true;
    if (!packet) {
      if (packet.error().code == Errc::kDisconnected) co_return Error{Errc::kUnavailable, "the zygote has died"};
      co_return packet.error();
    }
    auto handled = OnMessage(*zygote_, *snapshot, load, *std::move(packet));
    if (!handled) co_return handled.error();
    if (*handled == nullptr) continue;
    const auto unchanged = co_await disk_.Run([&] { return CheckUnchanged(*snapshot); });
    if (!unchanged) co_return unchanged.error();
    Serve(*std::move(handled));
  }
}

Result<EngineInfoPtr> ScannerPool::OnMessage(const Zygote& zygote, const SignatureSnapshot& snapshot,
                                             const wire::LoadRequest& load, Packet packet) {
  const auto message = wire::DecodeFromZygote(packet.bytes);
  if (!message) return std::unexpected(message.error());
  if (const auto* failed = std::get_if<wire::Failed>(&*message)) return Fail(Errc::kUnavailable, failed->what);
  if (const auto* ready = std::get_if<wire::Ready>(&*message)) {
    auto info = std::make_shared<const EngineInfo>(DescribeEngine(snapshot, load, *ready));
    LogReady(*info, *ready, zygote.pid());
    return info;
  }
  if (const auto* forked = std::get_if<wire::Forked>(&*message)) {
    OnForked(*forked, std::move(packet.fds));
  } else if (const auto* refused = std::get_if<wire::ForkFailed>(&*message)) {
    log_.Error("scanner could not be started", {{"slot", refused->slot}, {"error", refused->what}});
    tasks_.Spawn(RequestForkLater(refused->slot));
  } else if (const auto* exited = std::get_if<wire::Exited>(&*message)) {
    OnExited(*exited);
  }
  return EngineInfoPtr();
}

void ScannerPool::LogReady(const EngineInfo& info, const wire::Ready& ready, int zygote) {
  log_.Info("engine ready", {{"engine", fmt::format("{} {}", info.name, info.version)},
                             {"signatures", ready.signatures},
                             {"set", info.signature_label},
                             {"load_ms", ready.load_ms},
                             {"sandbox", fmt::format("{}", fmt::join(ready.sandbox, ","))},
                             {"zygote", zygote}});
  for (const std::string& warning : ready.warnings) log_.Warning("engine warning", {{"text", warning}});
  if (info.test_set) {
    log_.Warning("TEST SIGNATURES ONLY: nothing but the EICAR test file is detected; do not use this for real files");
  }
}

// The engine counts as ready when the first scanner is there: a system on which none can be forked never is.
void ScannerPool::Serve(EngineInfoPtr info) {
  loaded_ = std::move(info);
  for (std::uint32_t slot = 0; slot < settings_.slots; ++slot) RequestFork(slot);
}

// A zygote that hangs neither forks nor says that a scanner has ended.
aio::Task<> ScannerPool::WatchZygote() {
  std::size_t owed_before = 0;
  for (;;) {
    co_await aio::SleepUntil(clock_.SteadyNow() + kWatchInterval);
    const auto owed = static_cast<std::size_t>(std::ranges::count_if(
        scanners_, [](const ScannerPtr& scanner) { return scanner == nullptr || !scanner->IsAlive(); }));
    const bool answers = heard_since_watch_ || owed == 0 || owed_before == 0;
    if (Current() != nullptr && zygote_ != nullptr && !answers) {
      log_.Error("zygote does not answer: killed", {{"zygote", zygote_->pid()}, {"scanners_missing", owed}});
      zygote_->Kill();
    }
    owed_before = owed;
    heard_since_watch_ = false;
  }
}

void ScannerPool::RequestFork(std::uint32_t slot) {
  if (stopping_ || zygote_ == nullptr) return;
  if (auto sent = zygote_->Send(wire::Encode(wire::ForkRequest{slot})); !sent) {
    log_.Error("zygote does not take orders", {{"error", sent.error().what}});
    tasks_.Spawn(RequestForkLater(slot));
  }
}

aio::Task<> ScannerPool::RequestForkLater(std::uint32_t slot) {
  const Zygote* const asked = zygote_.get();
  co_await aio::SleepUntil(clock_.SteadyNow() + kForkPause);
  // Another zygote has been asked for all its scanners already.
  if (zygote_.get() == asked) RequestFork(slot);
}

void ScannerPool::OnForked(const wire::Forked& forked, std::vector<UniqueFd> fds) {
  if (forked.slot >= scanners_.size() || fds.size() != 2 || scanners_[forked.slot] != nullptr) {
    log_.Error("zygote announced a scanner that makes no sense", {{"slot", forked.slot}});
    return;
  }
  auto scanner = std::make_shared<ScannerProcess>(forked, std::move(fds[0]), std::move(fds[1]), executor_);
  log_.Debug("scanner started", {{"slot", forked.slot}, {"pid", forked.pid}});
  telemetry_.OnScannerStarted();
  scanners_[forked.slot] = scanner;
  idle_.push_back(std::move(scanner));
  idle_count_ = idle_.size();
  if (loaded_ != nullptr) {
    std::lock_guard lock(mutex_);
    current_ = std::exchange(loaded_, nullptr);
  }
  WakeOneWaiter();
}

void ScannerPool::OnExited(const wire::Exited& exited) {
  if (exited.slot >= scanners_.size() || scanners_[exited.slot] == nullptr ||
      scanners_[exited.slot]->pid() != exited.pid) {
    log_.Error("zygote announced the end of a scanner that we do not know", {{"slot", exited.slot}});
    return;
  }
  const ScannerPtr scanner = std::exchange(scanners_[exited.slot], nullptr);
  std::erase(idle_, scanner);
  idle_count_ = idle_.size();
  telemetry_.OnScannerEnded(scanner->end());
  if (scanner->end() == ScannerEnd::kCrashed) {
    log_.Warning("scanner crashed", {{"slot", exited.slot},
                                     {"pid", exited.pid},
                                     {"end", DescribeEnd(exited.wait_status)},
                                     {"scans", scanner->scans()}});
  }
  const bool died_young = scanner->scans() == 0 && clock_.SteadyNow() - scanner->started() < kForkPause;
  if (scanner->end() == ScannerEnd::kCrashed && died_young) {
    tasks_.Spawn(RequestForkLater(exited.slot));
  } else {
    RequestFork(exited.slot);
  }
}

void ScannerPool::DropScanners() {
  for (ScannerPtr& scanner : scanners_) {
    if (scanner == nullptr) continue;
    // What has ended for another reason keeps it.
    if (scanner->end() == ScannerEnd::kCrashed) scanner->Kill(ScannerEnd::kShutdown);
    telemetry_.OnScannerEnded(scanner->end());
    scanner.reset();
  }
  idle_.clear();
  idle_count_ = 0;
  // Whoever waits looks again and finds that there is no engine.
  for (const auto& waiter : waiters_) waiter->expires_at(SteadyTime::min());
}

void ScannerPool::WakeOneWaiter() {
  if (waiters_.empty()) return;
  waiters_.front()->expires_at(SteadyTime::min());
  waiters_.pop_front();
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

ScannerPool::ScannerPtr ScannerPool::TakeIdle() {
  while (!idle_.empty()) {
    ScannerPtr scanner = std::move(idle_.back());
    idle_.pop_back();
    idle_count_ = idle_.size();
    if (scanner->IsAlive() && scanner->IsQuiet()) return scanner;
    // Dead already, or it talks without being asked: no content shall be charged for that.
    scanner->Kill(ScannerEnd::kCrashed);
  }
  return nullptr;
}

aio::Task<Result<ScannerPool::ScannerPtr>> ScannerPool::AcquireScanner(SteadyTime deadline) {
  for (;;) {
    if (Current() == nullptr) co_return Fail(Errc::kUnavailable, NotReadyReason());
    if (clock_.SteadyNow() >= deadline) co_return Fail(Errc::kUnavailable, "no scanner became free in time");
    if (ScannerPtr scanner = TakeIdle()) co_return scanner;
    Waiter waiter(*this, deadline);
    if (!co_await waiter.Wait()) co_return Fail(Errc::kCancelled, "nobody waits for this scan any more");
  }
}

void ScannerPool::ReturnScanner(const ScannerPtr& scanner, bool is_last) {
  if (scanners_[scanner->slot()] != scanner) return;  // it died, or its zygote did, just after it answered
  if (is_last || scanner->scans() >= settings_.scans_per_scanner) {
    // Not asked to go but killed: it may have been taken over and not listen.
    scanner->Kill(ScannerEnd::kRecycled);
    return;
  }
  idle_.push_back(scanner);
  idle_count_ = idle_.size();
  WakeOneWaiter();
}

aio::Task<Result<Verdict>> ScannerPool::Scan(ContentPtr content, SteadyTime deadline) {
  const auto descriptor = content->Descriptor();
  if (!descriptor) co_return std::unexpected(descriptor.error());
  int crashes = 0;
  for (;;) {
    auto scanner = co_await AcquireScanner(deadline);
    if (!scanner) co_return std::unexpected(scanner.error());
    const EngineInfoPtr engine = Current();
    if (engine == nullptr) co_return Fail(Errc::kUnavailable, NotReadyReason());
    Lease lease(*this, *std::move(scanner));

    const SteadyTime start = clock_.SteadyNow();
    const auto time_limit = std::chrono::floor<milliseconds>((deadline - start) * 9 / 10);
    auto outcome = co_await aio::WithDeadline(
        lease.scanner().Scan(*descriptor, content->size(), std::max(time_limit, milliseconds(1))), deadline, "deadline");
    const double scan_ms = MillisecondsSince(start);
    ScanRecord record{engine, content->size(), clock_.Now(), scan_ms};
    if (outcome) {
      lease.GiveBack(outcome->is_last);
      co_return ToVerdict(*outcome, std::move(record));
    }
    if (outcome.error().code == Errc::kTimeout) {
      lease.KillAs(ScannerEnd::kDeadline);
      co_return Verdict::Unscannable(std::move(record), Reason::kTimeout, "the scan passed its deadline");
    }
    if (outcome.error().code == Errc::kCancelled) co_return std::unexpected(outcome.error());
    lease.KillAs(ScannerEnd::kCrashed);
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
