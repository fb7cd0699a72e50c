#include "clamav/generation.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "aio/deadline.h"

namespace lazaret::clamav {
namespace asio = boost::asio;

namespace {

constexpr seconds kEndTime{2};           // for a zygote to clean up, or to be seen to have gone
constexpr milliseconds kForkPause{500};  // before replacing a scanner that died young
constexpr seconds kWatchInterval{5};     // a fork takes milliseconds

}  // namespace

Result<GenerationPtr> Generation::Spawn(Settings settings, const ScannerParts& parts) {
  auto zygote = Zygote::Spawn(settings.program, parts.executor);
  if (!zygote) return std::unexpected(zygote.error());
  return GenerationPtr(new Generation(std::move(settings), parts, *std::move(zygote)));
}

Generation::Generation(Settings settings, const ScannerParts& parts, std::unique_ptr<Zygote> zygote)
    : settings_(std::move(settings)),
      parts_(parts),
      zygote_(std::move(zygote)),
      scanners_(settings_.load.slots),
      changed_(parts.executor, SteadyTime::max()) {}

Generation::~Generation() { DropScanners(); }

aio::Task<Result<wire::Ready>> Generation::Load(SteadyTime deadline) {
  const auto self = shared_from_this();
  if (settings_.nice > 0) zygote_->SetNice(settings_.nice);
  if (auto sent = zygote_->Send(wire::Encode(settings_.load)); !sent) {
    if (sent.error().code != Errc::kDisconnected) co_return std::unexpected(sent.error());
  }
  auto packet = co_await aio::WithDeadline(zygote_->Receive(), deadline, "loading the signatures took too long");
  if (!packet) {
    if (packet.error().code != Errc::kDisconnected) co_return std::unexpected(packet.error());
    const std::string end = co_await zygote_->DescribeEnd(parts_.clock.SteadyNow() + kEndTime);
    co_return Fail(Errc::kDisconnected, fmt::format("the process that loads the signatures died: {}", end));
  }
  const auto message = wire::DecodeFromZygote(packet->bytes);
  if (!message) co_return std::unexpected(message.error());
  if (const auto* failed = std::get_if<wire::Failed>(&*message)) {
    co_return Fail(failed->blames_signatures ? Errc::kCorrupt : Errc::kUnavailable, failed->what);
  }
  const auto* ready = std::get_if<wire::Ready>(&*message);
  if (ready == nullptr) co_return Fail(Errc::kMalformed, "the zygote answered a load request with something else");
  if (settings_.nice > 0) zygote_->SetNice(0);
  co_return *ready;
}

void Generation::Serve() {
  parts_.tasks.Spawn(Run(shared_from_this()));
  parts_.tasks.Spawn(Watch(shared_from_this()));
  for (std::uint32_t slot = 0; slot < scanners_.size(); ++slot) RequestFork(slot);
}

aio::Task<> Generation::Run(GenerationPtr self) {
  Error why;
  for (;;) {
    auto packet = co_await self->zygote_->Receive();
    self->heard_since_watch_ = true;
    const auto handled = packet ? self->OnMessage(*std::move(packet)) : std::unexpected(packet.error());
    if (handled) continue;
    why = handled.error();
    break;
  }
  if (why.code == Errc::kCancelled || std::exchange(self->ended_, true)) co_return;
  if (why.code == Errc::kDisconnected) {
    why = {Errc::kUnavailable, "the zygote has died"};
  }
  self->DropScanners();
  self->WakeWaiters();
  if (self->on_death_) self->on_death_(why);
}

Result<void> Generation::OnMessage(Packet packet) {
  const auto message = wire::DecodeFromZygote(packet.bytes);
  if (!message) return std::unexpected(message.error());
  if (const auto* failed = std::get_if<wire::Failed>(&*message)) return Fail(Errc::kUnavailable, failed->what);
  if (const auto* forked = std::get_if<wire::Forked>(&*message)) {
    OnForked(*forked, std::move(packet.fds));
  } else if (const auto* refused = std::get_if<wire::ForkFailed>(&*message)) {
    parts_.log.Error("scanner could not be started", {{"slot", refused->slot}, {"error", refused->what}});
    parts_.tasks.Spawn(RequestForkLater(shared_from_this(), refused->slot));
  } else if (const auto* exited = std::get_if<wire::Exited>(&*message)) {
    OnExited(*exited);
  }
  return {};
}

// A zygote that hangs neither forks nor says that a scanner has ended.
aio::Task<> Generation::Watch(GenerationPtr self) {
  std::size_t owed_before = 0;
  while (!self->ended_) {
    const std::weak_ptr<Generation> waiting = self;
    const SteadyTime next = self->parts_.clock.SteadyNow() + kWatchInterval;
    self.reset();
    co_await aio::SleepUntil(next);
    self = waiting.lock();
    if (self == nullptr || self->ended_ || self->retiring_) co_return;
    const auto owed = static_cast<std::size_t>(std::ranges::count_if(
        self->scanners_, [](const ScannerPtr& scanner) { return scanner == nullptr || !scanner->IsAlive(); }));
    const bool answers = self->heard_since_watch_ || owed == 0 || owed_before == 0;
    if (!answers) {
      self->parts_.log.Error("zygote does not answer: killed",
                             {{"zygote", self->zygote_->pid()}, {"scanners_missing", owed}});
      self->zygote_->Kill();
    }
    owed_before = owed;
    self->heard_since_watch_ = false;
  }
}

void Generation::RequestFork(std::uint32_t slot) {
  if (retiring_ || ended_) return;
  if (auto sent = zygote_->Send(wire::Encode(wire::ForkRequest{slot})); !sent) {
    parts_.log.Error("zygote does not take orders", {{"error", sent.error().what}});
    parts_.tasks.Spawn(RequestForkLater(shared_from_this(), slot));
  }
}

aio::Task<> Generation::RequestForkLater(GenerationPtr self, std::uint32_t slot) {
  const std::weak_ptr<Generation> waiting = self;
  const SteadyTime then = self->parts_.clock.SteadyNow() + kForkPause;
  self.reset();
  co_await aio::SleepUntil(then);
  if ((self = waiting.lock()) != nullptr) self->RequestFork(slot);
}

void Generation::OnForked(const wire::Forked& forked, std::vector<UniqueFd> fds) {
  if (forked.slot >= scanners_.size() || fds.size() != 2 || scanners_[forked.slot] != nullptr) {
    parts_.log.Error("zygote announced a scanner that makes no sense", {{"slot", forked.slot}});
    return;
  }
  auto scanner = std::make_shared<ScannerProcess>(forked, std::move(fds[0]), std::move(fds[1]), parts_.executor);
  parts_.log.Debug("scanner started", {{"slot", forked.slot}, {"pid", forked.pid}});
  parts_.telemetry.OnScannerStarted();
  scanners_[forked.slot] = scanner;
  idle_.push_back(std::move(scanner));
  WakeWaiters();
  if (on_idle_) on_idle_();
}

void Generation::OnExited(const wire::Exited& exited) {
  if (exited.slot >= scanners_.size() || scanners_[exited.slot] == nullptr ||
      scanners_[exited.slot]->pid() != exited.pid) {
    parts_.log.Error("zygote announced the end of a scanner that we do not know", {{"slot", exited.slot}});
    return;
  }
  const ScannerPtr scanner = std::exchange(scanners_[exited.slot], nullptr);
  std::erase(idle_, scanner);
  parts_.telemetry.OnScannerEnded(scanner->end());
  if (scanner->end() == ScannerEnd::kCrashed) {
    parts_.log.Warning("scanner crashed", {{"slot", exited.slot},
                                           {"pid", exited.pid},
                                           {"end", DescribeWaitStatus(exited.wait_status)},
                                           {"scans", scanner->scans()}});
  }
  const bool died_young = scanner->scans() == 0 && parts_.clock.SteadyNow() - scanner->started() < kForkPause;
  if (scanner->end() == ScannerEnd::kCrashed && died_young) {
    parts_.tasks.Spawn(RequestForkLater(shared_from_this(), exited.slot));
  } else {
    RequestFork(exited.slot);
  }
  if (on_idle_) on_idle_();
}

void Generation::DropScanners() {
  for (ScannerPtr& scanner : scanners_) {
    if (scanner == nullptr) continue;
    // What has ended for another reason keeps it.
    if (scanner->end() == ScannerEnd::kCrashed) scanner->Kill(ScannerEnd::kShutdown);
    parts_.telemetry.OnScannerEnded(scanner->end());
    scanner.reset();
  }
  idle_.clear();
}

void Generation::Notify(std::function<void()> on_idle, std::function<void(const Error&)> on_death) {
  on_idle_ = std::move(on_idle);
  on_death_ = std::move(on_death);
}

void Generation::WakeWaiters() { changed_.cancel(); }

aio::Task<Result<void>> Generation::WaitForScanners(std::size_t count, SteadyTime deadline) {
  const auto self = shared_from_this();
  while (idle_.size() < count) {
    if (ended_) co_return Fail(Errc::kDisconnected, "the zygote died before it had forked its scanners");
    if (parts_.clock.SteadyNow() >= deadline) co_return Fail(Errc::kTimeout, "forking the scanners took too long");
    changed_.expires_at(deadline);
    co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  co_return Result<void>();
}

Generation::ScannerPtr Generation::TakeIdle() {
  while (!idle_.empty()) {
    ScannerPtr scanner = std::move(idle_.back());
    idle_.pop_back();
    if (scanner->IsAlive() && scanner->IsQuiet()) {
      ++taken_;
      return scanner;
    }
    // Dead already, or it talks without being asked: no content shall be charged for that.
    scanner->Kill(ScannerEnd::kCrashed);
  }
  return nullptr;
}

void Generation::Return(const ScannerPtr& scanner, bool is_old) {
  if (scanners_[scanner->slot()] != scanner) return;  // it died, or its zygote did, just after it answered
  if (is_old) {
    // Not asked to go but killed: it may have been taken over and not listen.
    scanner->Kill(ScannerEnd::kRecycled);
    return;
  }
  idle_.push_back(scanner);
  if (on_idle_) on_idle_();
}

void Generation::Release() {
  --taken_;
  if (taken_ == 0) WakeWaiters();
}

aio::Task<> Generation::Retire() {
  const auto self = shared_from_this();
  retiring_ = true;
  while (taken_ > 0) {
    changed_.expires_at(SteadyTime::max());
    co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

aio::Task<> Generation::End() {
  const auto self = shared_from_this();
  ended_ = true;
  retiring_ = true;
  co_await zygote_->End(parts_.clock.SteadyNow() + kEndTime);
  DropScanners();
  WakeWaiters();
}

}  // namespace lazaret::clamav
