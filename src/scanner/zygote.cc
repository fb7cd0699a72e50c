#include "scanner/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ranges>

#include <fmt/format.h>

#include "base/seqpacket.h"
#include "scanner/charsets.h"
#include "scanner/digests.h"
#include "scanner/io_failures.h"
#include "scanner/logical_expression.h"
#include "scanner/low_priority.h"
#include "scanner/process.h"
#include "scanner/sandbox.h"
#include "scanner/scanner.h"
#include "scanner/seccomp_filter.h"

namespace lazaret::scanner {
namespace {

constexpr std::size_t kMaxOutgoing = 64;

sigset_t ChildSignal() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  return set;
}

void DrainSignals(int fd) {
  signalfd_siginfo info;
  while (::read(fd, &info, sizeof info) == sizeof info) {
  }
}

}  // namespace

int Zygote::Run() {
  auto request = ReceiveLoadRequest();
  if (!request) {
    // Closed before anything was asked for: the server has changed its mind.
    if (request.error().code == Errc::kDisconnected) return 0;
    fmt::print(stderr, "lazaret-scanner: {}\n", request.error().what);
    return 1;
  }
  request_ = *std::move(request);
  if (auto loaded = Load(request_); !loaded) {
    (void)SendPacket(control_.Get(),
                     wire::Encode(wire::Failed{loaded.error().what, loaded.error().code == Errc::kCorrupt}));
    return 1;
  }
  const auto served = Serve();
  EndScanners();
  if (served) return 0;
  fmt::print(stderr, "lazaret-scanner: {}\n", served.error().what);
  return 1;
}

Result<wire::LoadRequest> Zygote::ReceiveLoadRequest() {
  auto packet = ReceivePacket(control_.Get());
  if (!packet) return std::unexpected(packet.error());
  auto message = wire::DecodeToZygote(packet->bytes);
  if (!message) return std::unexpected(message.error());
  auto* load = std::get_if<wire::LoadRequest>(&*message);
  if (load == nullptr || !packet->fds.empty()) return Fail(Errc::kMalformed, "the first message is no load request");
  return std::move(*load);
}

Result<void> Zygote::Load(const wire::LoadRequest& request) {
  if (!ResolveRealCalls()) return Fail(Errc::kInternal, "the C library lacks a function that must be watched");
  if (!SeccompIsAvailable()) return Fail(Errc::kUnavailable, "the kernel has no seccomp filters: scanning is refused");
  oom_score_ = OomScore::OfThisProcess();
  Measures measures = PrepareMeasures(request);
  auto isolation = Isolate(request, mounts_);
  if (!isolation) return std::unexpected(isolation.error());
  isolation_ = std::make_unique<Isolation>(*std::move(isolation));
  if (auto alive = DieWithParent(parent_); !alive) return alive;
  if (auto holds = TrySandbox(); !holds) return holds;
  // Scanners have the same user: they must not reach the zygote, nor each other, through /proc.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return std::unexpected(SystemError("not dumpable", errno));

  auto engine = [&] {
    if (!request.low_priority) return ClamavEngine::Load(request, isolation_->signature_directory);
    const LowPriority low;
    const auto raised = oom_score_.Raise();
    return ClamavEngine::Load(request, isolation_->signature_directory);
  }();
  if (!engine) return std::unexpected(engine.error());
  engine_ = std::make_unique<ClamavEngine>(*std::move(engine));
  slots_.resize(request.slots);

  wire::Ready ready = engine_->Info();
  ready.sandbox = isolation_->layers;
  ready.sandbox.emplace_back("seccomp");
  if (LandlockVersion() > 0) {
    ready.sandbox.emplace_back("landlock");
  } else {
    isolation_->warnings.emplace_back("the kernel has no Landlock: files outside are protected by permissions only");
  }
  std::ranges::sort(ready.sandbox);
  if (!PreloadDigests()) return Fail(Errc::kUnavailable, "OpenSSL lacks MD5, SHA-1 or SHA-256, which signatures need");
  if (PreloadCharsetsAndTimeZone() < CharsetConversions()) {
    isolation_->warnings.emplace_back("some character sets of the C library are missing");
  }
  std::ranges::move(SpeedUp(std::move(measures)), std::back_inserter(isolation_->warnings));
  // Ours first: the list may be cut to fit its message.
  ready.warnings.insert(ready.warnings.begin(), isolation_->warnings.begin(), isolation_->warnings.end());

  const sigset_t child = ChildSignal();
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  child_signals_.Reset(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!child_signals_) return std::unexpected(SystemError("signalfd", errno));
  if (::fcntl(control_.Get(), F_SETFL, O_NONBLOCK) != 0) return std::unexpected(SystemError("fcntl", errno));
  Send(wire::Encode(ready));
  return {};
}

Zygote::Measures Zygote::PrepareMeasures(const wire::LoadRequest& request) {
  Measures measures;
  if (request.huge_pages) measures.huge_pages.emplace(HugePages::Prepare());
  if (request.share_match_state) measures.match_state_files.emplace(MatchStateFiles::Make());
  return measures;
}

std::vector<std::string> Zygote::SpeedUp(Measures measures) {
  std::vector<std::string> warnings;
  const auto warn = [&](std::string_view setting, std::string_view why) {
    warnings.push_back(fmt::format("scans are slower, {} has no effect: {}", setting, why));
  };
  if (request_.skip_unmatched && !SkipUnmatchedExpressions()) {
    warn("engine.skip_unmatched", "libclamav evaluates expressions in an unknown way");
  }
  if (auto& files = measures.match_state_files) {
    const auto tried = *files ? (*files)->ForScanner() : std::unexpected((*files).error());
    if (tried) {
      match_state_files_.emplace(**std::move(files));
    } else {
      warn("engine.share_match_state", tried.error().what);
    }
  }
  if (const auto& huge_pages = measures.huge_pages) {
    // Last: what was allocated until now is what scanners share.
    const HugePages::Moved moved = *huge_pages ? (*huge_pages)->Collapse() : HugePages::Moved{};
    if (!*huge_pages) {
      warn("engine.huge_pages", huge_pages->error().what);
    } else if (moved.bytes < moved.possible / 2) {
      warn("engine.huge_pages",
           fmt::format("the kernel made them of {} of {} MiB", moved.bytes >> 20, moved.possible >> 20));
    }
  }
  return warnings;
}

// Whether a scanner could enter its sandbox: a scanner that cannot has nobody to tell why.
Result<void> Zygote::TrySandbox() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::unexpected(SystemError("pipe2", errno));
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return std::unexpected(SystemError("fork", errno));
  if (pid == 0) {
    const auto entered = EnterSandbox(RulesFor(0));
    if (!entered) (void)!::write(writer.Get(), entered.error().what.data(), entered.error().what.size());
    ::_exit(entered ? kScannerDone : kScannerNoSandbox);
  }
  writer.Reset();
  std::array<char, 512> words;
  const ssize_t length = ::read(reader.Get(), words.data(), words.size());
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return std::unexpected(SystemError("waitpid", errno));
  if (status == 0 && length == 0) return {};
  const std::string_view why(words.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return Fail(Errc::kUnavailable, fmt::format("scanners cannot enter their sandbox: {}",
                                              why.empty() ? fmt::format("wait status {}", status) : std::string(why)));
}

Result<void> Zygote::Serve() {
  for (;;) {
    if (auto flushed = Flush(); !flushed) {
      return flushed.error().code == Errc::kDisconnected ? Result<void>{} : flushed;
    }
    // A server that does not read gets no more scanners, and costs no memory.
    const bool listening = outgoing_.size() < kMaxOutgoing;
    const short events = static_cast<short>((listening ? POLLIN : 0) | (outgoing_.empty() ? 0 : POLLOUT));
    pollfd polled[] = {{control_.Get(), events, 0}, {child_signals_.Get(), POLLIN, 0}};
    if (::ppoll(polled, std::size(polled), nullptr, nullptr) < 0 && errno != EINTR) {
      return std::unexpected(SystemError("ppoll", errno));
    }
    if (polled[1].revents != 0) Reap();
    if ((polled[0].revents & POLLIN) != 0) {
      if (auto handled = HandleRequest(); !handled) {
        return handled.error().code == Errc::kDisconnected ? Result<void>{} : handled;
      }
    } else if ((polled[0].revents & (POLLHUP | POLLERR)) != 0) {
      return {};
    }
  }
}

Result<void> Zygote::HandleRequest() {
  auto packet = ReceivePacket(control_.Get());
  if (!packet) return packet.error().code == Errc::kTimeout ? Result<void>{} : std::unexpected(packet.error());
  const auto message = wire::DecodeToZygote(packet->bytes);
  if (!message) return std::unexpected(message.error());
  const auto* fork = std::get_if<wire::ForkRequest>(&*message);
  if (fork == nullptr || !packet->fds.empty()) return Fail(Errc::kMalformed, "a message that is no fork request");
  Fork(fork->slot);
  return {};
}

void Zygote::Fork(std::uint32_t slot) {
  const auto refuse = [&](std::string what) { Send(wire::Encode(wire::ForkFailed{slot, std::move(what)})); };
  if (slot >= slots_.size()) return refuse("there is no such slot");
  if (slots_[slot].pid != 0) return refuse("the slot is taken");
  if (auto renewed = isolation_->slots.Renew(slot); !renewed) return refuse(renewed.error().what);
  auto sockets = MakeSeqpacketPair();
  if (!sockets) return refuse(sockets.error().what);

  std::optional<MatchStateFiles> match_state_files;
  if (match_state_files_) {
    auto opened = match_state_files_->ForScanner();
    if (!opened) return refuse(std::move(opened.error().what));
    match_state_files.emplace(*std::move(opened));
  }

  const pid_t zygote = ::getpid();
  const pid_t pid = [&] {
    const auto raised = oom_score_.Raise();
    return ::fork();
  }();
  if (pid < 0) return refuse(SystemError("fork", errno).what);
  if (pid == 0) {
    sockets->first.Reset();
    BecomeScanner(slot, std::move(sockets->second), zygote, std::move(match_state_files));
  }
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  UniqueFd copy(pidfd ? ::fcntl(pidfd.Get(), F_DUPFD_CLOEXEC, 0) : -1);
  if (!copy) {
    const int error = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return refuse(SystemError("pidfd_open", error).what);
  }
  slots_[slot] = {pid, std::move(pidfd)};
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(sockets->first));
  fds.push_back(std::move(copy));
  Send(wire::Encode(wire::Forked{slot, pid}), std::move(fds));
}

void Zygote::BecomeScanner(std::uint32_t slot, UniqueFd socket, pid_t zygote,
                           std::optional<MatchStateFiles> match_state_files) {
  if (!DieWithParent(zygote)) ::_exit(kScannerDone);
  for (Slot& other : slots_) other.pidfd.Reset();
  outgoing_.clear();
  control_.Reset();
  child_signals_.Reset();
  const sigset_t child = ChildSignal();
  ::sigprocmask(SIG_UNBLOCK, &child, nullptr);
  constexpr int kSocket = 3;
  if (socket.Get() != kSocket) {
    if (::dup2(socket.Get(), kSocket) < 0) ::_exit(kScannerNoSandbox);
    socket.Reset(kSocket);
  }
  int first_closed = kSocket + 1;
  if (match_state_files) {
    if (!match_state_files->MoveTo(first_closed)) ::_exit(kScannerNoSandbox);
    match_state_files->Use();
    first_closed += MatchStateFiles::kCount;
  }
  CloseFrom(first_closed);
  if (!SilenceStandardStreams()) ::_exit(kScannerNoSandbox);
  ::_exit(RunScanner(*engine_, RulesFor(slot), std::move(socket)));
}

SandboxRules Zygote::RulesFor(std::uint32_t slot) const {
  return {.temp_directory = isolation_->slots.Path(slot),
          .temp_bytes = request_.temp_bytes,
          .memory_bytes = request_.memory_bytes};
}

void Zygote::Reap() {
  DrainSignals(child_signals_.Get());
  for (std::uint32_t number = 0; number < slots_.size(); ++number) {
    Slot& slot = slots_[number];
    int status = 0;
    if (slot.pid == 0 || ::waitpid(slot.pid, &status, WNOHANG) != slot.pid) continue;
    // A failure shows again, and is reported, when the slot is used next.
    (void)isolation_->slots.Renew(number);
    Send(wire::Encode(wire::Exited{number, slot.pid, status}));
    slot = {};
  }
}

void Zygote::Send(std::vector<std::byte> message, std::vector<UniqueFd> fds) {
  outgoing_.push_back({std::move(message), std::move(fds)});
}

Result<void> Zygote::Flush() {
  while (!outgoing_.empty()) {
    const Outgoing& next = outgoing_.front();
    std::vector<int> fds;
    std::ranges::transform(next.fds, std::back_inserter(fds), &UniqueFd::Get);
    if (auto sent = SendPacket(control_.Get(), next.message, fds); !sent) {
      return sent.error().code == Errc::kTimeout ? Result<void>{} : sent;
    }
    outgoing_.pop_front();
  }
  return {};
}

void Zygote::EndScanners() {
  for (const Slot& slot : slots_) {
    if (slot.pid != 0) ::kill(slot.pid, SIGKILL);
  }
  for (const Slot& slot : slots_) {
    if (slot.pid != 0) ::waitpid(slot.pid, nullptr, 0);
  }
  if (isolation_ != nullptr) isolation_->slots.RemoveAll();
}

}  // namespace lazaret::scanner
