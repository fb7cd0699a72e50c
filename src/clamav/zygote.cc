#include "clamav/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "aio/deadline.h"

namespace lazaret::clamav {
namespace asio = boost::asio;

namespace {

constexpr int kControlFd = 3;

void MakeNonBlocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

int OpenPidfd(int pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }
// What a scanner cannot guess: an outcome that it sent ahead of its request would not fit.
std::uint64_t RandomNumber() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

// The server's environment may hold secrets and is no business of a process that hostile contents may take over.
std::vector<std::string> ScannerEnvironment() {
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin"};
  for (const char* name : {"TZ", "LANG", "LC_ALL", "GLIBC_TUNABLES"}) {
    if (const char* value = std::getenv(name); value != nullptr)
      environment.push_back(fmt::format("{}={}", name, value));
  }
  return environment;
}

void KillPidfd(int pidfd) { ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0); }

// Whether the peer has closed a Unix socket with something unread in it.
bool WasReset(int socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNRESET;
}

aio::Task<Result<void>> WaitReadable(asio::posix::stream_descriptor& descriptor) {
  const auto [failed] =
      co_await descriptor.async_wait(asio::posix::descriptor_base::wait_read, asio::as_tuple(asio::use_awaitable));
  if (failed == asio::error::operation_aborted) co_return Fail(Errc::kCancelled, "wait was cancelled");
  if (failed) co_return Fail(Errc::kInternal, "waiting for a process: " + failed.message());
  co_return Result<void>();
}

// Readable may turn out to be nothing to receive: wait again.
aio::Task<Result<Packet>> ReceiveWhenReadable(asio::posix::stream_descriptor& descriptor) {
  for (;;) {
    if (auto ready = co_await WaitReadable(descriptor); !ready) co_return std::unexpected(ready.error());
    auto packet = ReceivePacket(descriptor.native_handle());
    if (packet || packet.error().code != Errc::kTimeout) co_return packet;
  }
}

}  // namespace

std::string DescribeWaitStatus(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    const char* name = ::sigabbrev_np(number);
    return fmt::format("signal {}{}", name != nullptr ? "SIG" : "", name != nullptr ? name : std::to_string(number));
  }
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

// Tried out on a thread that ends with it: capabilities tell too much in a container and RLIMIT_NICE too little.
bool CanLowerNice() {
  bool can = false;
  std::thread([&can] {
    const auto self = static_cast<id_t>(::gettid());
    errno = 0;
    const int usual = ::getpriority(PRIO_PROCESS, self);
    can = errno == 0 && ::setpriority(PRIO_PROCESS, self, usual + 1) == 0 &&
          ::getpriority(PRIO_PROCESS, self) == usual + 1 && ::setpriority(PRIO_PROCESS, self, usual) == 0;
  }).join();
  return can;
}

Result<std::unique_ptr<Zygote>> Zygote::Spawn(const std::filesystem::path& program, const aio::Executor& executor) {
  auto pair = MakeSeqpacketPair();
  if (!pair) return std::unexpected(pair.error());
  // The child's end must not lie on the number that it is copied to: dup2 onto itself would keep close-on-exec.
  UniqueFd childs(::fcntl(pair->second.Get(), F_DUPFD_CLOEXEC, kControlFd + 1));
  if (!childs) return std::unexpected(SystemError("fcntl", errno));

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, childs.Get(), kControlFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);

  const std::string control = std::to_string(kControlFd);
  const std::string parent = std::to_string(::getpid());
  const std::array arguments = {program.c_str(), "--control-fd", control.c_str(), "--parent-pid", parent.c_str()};
  std::array<char*, arguments.size() + 1> argv{};
  for (std::size_t i = 0; i < arguments.size(); ++i) argv[i] = const_cast<char*>(arguments[i]);
  std::vector<std::string> environment = ScannerEnvironment();
  std::vector<char*> envp;
  for (std::string& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return std::unexpected(SystemError("starting " + program.native(), failed));

  UniqueFd pidfd(OpenPidfd(pid));
  if (!pidfd) {
    const int error_number = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return std::unexpected(SystemError("pidfd_open (Linux 5.3 or newer is needed)", error_number));
  }
  MakeNonBlocking(pair->first.Get());
  return std::unique_ptr<Zygote>(new Zygote(pid, std::move(pidfd), std::move(pair->first), executor));
}

Zygote::Zygote(int pid, UniqueFd pidfd, UniqueFd control, const aio::Executor& executor)
    : pid_(pid), pidfd_(executor, pidfd.Release()), control_(executor, control.Release()) {}

Zygote::~Zygote() {
  KillPidfd(pidfd_.native_handle());
  ::waitpid(pid_, nullptr, 0);
}

Result<void> Zygote::Send(const std::vector<std::byte>& message) {
  return SendPacket(control_.native_handle(), message);
}

aio::Task<Result<Packet>> Zygote::Receive() { co_return co_await ReceiveWhenReadable(control_); }

void Zygote::Kill() { KillPidfd(pidfd_.native_handle()); }

aio::Task<> Zygote::End(SteadyTime deadline) {
  ::shutdown(control_.native_handle(), SHUT_RDWR);
  if (co_await aio::WithDeadline(WaitReadable(pidfd_), deadline, "")) co_return;
  Kill();
  (void)co_await WaitReadable(pidfd_);
}

aio::Task<std::string> Zygote::DescribeEnd(SteadyTime deadline) {
  if (!co_await aio::WithDeadline(WaitReadable(pidfd_), deadline, "")) co_return "it closed its socket";
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.native_handle()), &info, WEXITED | WNOWAIT) != 0) co_return "unknown";
  co_return DescribeWaitStatus(info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status);
}

void Zygote::SetNice(int nice) const { (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(pid_), nice); }

ScannerProcess::ScannerProcess(const wire::Forked& forked, UniqueFd socket, UniqueFd pidfd,
                               const aio::Executor& executor)
    : slot_(forked.slot),
      pid_(forked.pid),
      started_(std::chrono::steady_clock::now()),
      pidfd_(std::move(pidfd)),
      socket_(executor, socket.Release()) {
  MakeNonBlocking(socket_.native_handle());
}

ScannerProcess::~ScannerProcess() = default;

aio::Task<Result<wire::Outcome>> ScannerProcess::Scan(int content, std::uint64_t size, milliseconds time_limit) {
  ++scans_;
  const std::uint64_t number = RandomNumber();
  const int fds[] = {content};
  const auto request = wire::Encode(wire::ScanRequest{
      .number = number, .size = size, .time_limit_ms = static_cast<std::uint32_t>(time_limit.count())});
  const Error unseen{Errc::kUnavailable, "the scanner had died before it saw the content"};
  if (!SendPacket(socket_.native_handle(), request, fds)) co_return std::unexpected(unseen);
  if (auto ready = co_await WaitReadable(socket_); !ready) co_return std::unexpected(ready.error());
  if (WasReset(socket_.native_handle())) co_return std::unexpected(unseen);
  auto packet = co_await ReceiveWhenReadable(socket_);
  if (!packet) co_return std::unexpected(packet.error());
  if (!packet->fds.empty()) co_return Fail(Errc::kMalformed, "scanner sent a descriptor");
  auto outcome = wire::DecodeOutcome(packet->bytes);
  if (!outcome) co_return outcome;
  if (outcome->number != number || outcome->size != size) {
    co_return Fail(Errc::kMalformed, fmt::format("scanner answered scan {} of {} bytes instead of scan {} of {} bytes",
                                                 outcome->number, outcome->size, number, size));
  }
  co_return outcome;
}

void ScannerProcess::Kill(ScannerEnd why) {
  end_ = why;
  KillPidfd(pidfd_.Get());
}

bool ScannerProcess::IsAlive() const {
  pollfd polled{pidfd_.Get(), POLLIN, 0};
  return ::poll(&polled, 1, 0) == 0;
}

bool ScannerProcess::IsQuiet() {
  pollfd polled{socket_.native_handle(), POLLIN, 0};
  return ::poll(&polled, 1, 0) == 0;
}

}  // namespace lazaret::clamav
