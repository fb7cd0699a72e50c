#include "integration/scanner_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "base/seqpacket.h"

namespace lazaret::tests {
namespace {

constexpr int kWaitMs = 60'000;

bool WaitReadable(int fd) {
  pollfd polled{fd, POLLIN, 0};
  int ready;
  do {
    ready = ::poll(&polled, 1, kWaitMs);
  } while (ready < 0 && errno == EINTR);
  return ready == 1;
}

Result<Packet> ReceiveInTime(int socket) {
  if (!WaitReadable(socket)) return Fail(Errc::kTimeout, "nothing came within a minute");
  return ReceivePacket(socket);
}

}  // namespace

UniqueFd MakeContent(std::string_view bytes) {
  UniqueFd fd(::memfd_create("content", MFD_CLOEXEC));
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd.Get(), bytes.data(), bytes.size());
    if (written <= 0) throw std::runtime_error("cannot write a content");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return fd;
}

bool WaitForEnd(const UniqueFd& pidfd) { return WaitReadable(pidfd.Get()); }

Result<void> Scanner::Send(const wire::ScanRequest& request, int content) const {
  const int fds[] = {content};
  return SendPacket(socket.Get(), wire::Encode(request), fds);
}

Result<wire::Outcome> Scanner::Receive() const {
  auto packet = ReceiveInTime(socket.Get());
  if (!packet) return std::unexpected(packet.error());
  return wire::DecodeOutcome(packet->bytes);
}

Result<wire::Outcome> Scanner::Scan(std::string_view content, std::uint32_t time_limit_ms) const {
  const UniqueFd fd = MakeContent(content);
  if (auto sent = Send({.number = 1, .size = content.size(), .time_limit_ms = time_limit_ms}, fd.Get()); !sent) {
    return std::unexpected(sent.error());
  }
  return Receive();
}

Result<wire::Outcome> Scanner::ScanFile(const std::string& path) const {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (!fd || ::fstat(fd.Get(), &info) != 0) return std::unexpected(SystemError(path, errno));
  if (auto sent =
          Send({.number = 1, .size = static_cast<std::uint64_t>(info.st_size), .time_limit_ms = 60'000}, fd.Get());
      !sent) {
    return std::unexpected(sent.error());
  }
  return Receive();
}

bool Scanner::Kill() const { return ::syscall(SYS_pidfd_send_signal, pidfd.Get(), SIGKILL, nullptr, 0) == 0; }

ScannerProcess::ScannerProcess(const std::string& executable, const std::vector<std::string>& options) {
  auto sockets = MakeSeqpacketPair();
  if (!sockets) throw std::runtime_error(sockets.error().what);
  const std::string parent = std::to_string(::getpid());
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    constexpr int kControl = 9;
    if (sockets->second.Get() == kControl) {
      ::fcntl(kControl, F_SETFD, 0);
    } else {
      ::dup2(sockets->second.Get(), kControl);
    }
    std::vector<const char*> arguments = {executable.c_str(), "--control-fd", "9", "--parent-pid", parent.c_str()};
    for (const std::string& option : options) arguments.push_back(option.c_str());
    arguments.push_back(nullptr);
    ::execv(executable.c_str(), const_cast<char* const*>(arguments.data()));
    ::_exit(127);
  }
  pidfd_.Reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  control_ = std::move(sockets->first);
}

ScannerProcess::~ScannerProcess() {
  if (pid_ != 0) Close();
}

Result<void> ScannerProcess::SendRaw(Bytes message) const { return SendPacket(control_.Get(), message); }

int ScannerProcess::Flood(Bytes message, int most) const {
  ::fcntl(control_.Get(), F_SETFL, O_NONBLOCK);
  int sent = 0;
  while (sent < most && SendRaw(message)) ++sent;
  ::fcntl(control_.Get(), F_SETFL, 0);
  return sent;
}

Result<wire::FromZygote> ScannerProcess::Receive() {
  auto packet = ReceiveInTime(control_.Get());
  if (!packet) return std::unexpected(packet.error());
  return wire::DecodeFromZygote(packet->bytes);
}

Result<wire::Ready> ScannerProcess::Load(const wire::LoadRequest& request) {
  if (auto sent = SendRaw(wire::Encode(request)); !sent) return std::unexpected(sent.error());
  auto message = Receive();
  if (!message) return std::unexpected(message.error());
  if (const auto* failed = std::get_if<wire::Failed>(&*message)) return Fail(Errc::kUnavailable, failed->what);
  if (auto* ready = std::get_if<wire::Ready>(&*message)) return std::move(*ready);
  return Fail(Errc::kInternal, "not an answer to a load request");
}

Result<Scanner> ScannerProcess::Fork(std::uint32_t slot) {
  if (auto sent = SendRaw(wire::Encode(wire::ForkRequest{slot})); !sent) return std::unexpected(sent.error());
  auto packet = ReceiveInTime(control_.Get());
  if (!packet) return std::unexpected(packet.error());
  const auto message = wire::DecodeFromZygote(packet->bytes);
  if (!message) return std::unexpected(message.error());
  if (const auto* failed = std::get_if<wire::ForkFailed>(&*message)) return Fail(Errc::kUnavailable, failed->what);
  const auto* forked = std::get_if<wire::Forked>(&*message);
  if (forked == nullptr || packet->fds.size() != 2) return Fail(Errc::kInternal, "not an answer to a fork request");
  return Scanner{forked->slot, forked->pid, std::move(packet->fds[0]), std::move(packet->fds[1])};
}

Result<wire::Exited> ScannerProcess::WaitForExit() {
  auto message = Receive();
  if (!message) return std::unexpected(message.error());
  if (const auto* exited = std::get_if<wire::Exited>(&*message)) return *exited;
  return Fail(Errc::kInternal, "not the news of an exit");
}

std::optional<int> ScannerProcess::Close() {
  control_.Reset();
  return Wait();
}

std::optional<int> ScannerProcess::Wait() {
  if (!WaitForEnd(pidfd_)) ::kill(pid_, SIGKILL);
  int status = 0;
  if (::waitpid(std::exchange(pid_, 0), &status, 0) < 0) return std::nullopt;
  return status;
}

}  // namespace lazaret::tests
