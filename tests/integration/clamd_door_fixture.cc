#include "integration/clamd_door_fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <regex>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "integration/processes.h"

namespace lazaret::tests {
namespace {

pid_t Spawn(std::vector<std::string> command, int output) {
  std::vector<char*> argv;
  for (std::string& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork");
  if (pid > 0) return pid;
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

ClamdClient::ClamdClient(const std::filesystem::path& socket) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  const timeval patience{.tv_sec = kPatience.count(), .tv_usec = 0};
  ::setsockopt(fd_.Get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_.Get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd_.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd_.Reset();
}

bool ClamdClient::Send(std::string_view bytes, const std::vector<int>& fds) {
  std::vector<std::byte> control(CMSG_SPACE(fds.size() * sizeof(int)));
  while (!bytes.empty()) {
    iovec io{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
    msghdr message{};
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* const part = CMSG_FIRSTHDR(&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(part), fds.data(), fds.size() * sizeof(int));
    }
    const ssize_t n = ::sendmsg(fd_.Get(), &message, MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void ClamdClient::CloseSending() { ::shutdown(fd_.Get(), SHUT_WR); }

bool ClamdClient::ReceiveMore() {
  char buffer[64 * 1024];
  const ssize_t n = ::recv(fd_.Get(), buffer, sizeof buffer, 0);
  if (n <= 0) return false;
  received_.append(buffer, static_cast<std::size_t>(n));
  return true;
}

std::string ClamdClient::ReceiveAll() {
  while (ReceiveMore()) {
  }
  return std::exchange(received_, {});
}

std::string ClamdClient::Receive(char terminator) {
  for (;;) {
    const std::size_t end = received_.find(terminator);
    if (end != received_.npos) {
      std::string reply = received_.substr(0, end + 1);
      received_.erase(0, end + 1);
      return reply;
    }
    if (!ReceiveMore()) return std::exchange(received_, {});
  }
}

std::string Ask(const std::filesystem::path& socket, std::string_view request) {
  ClamdClient client(socket);
  client.Send(request);
  return client.ReceiveAll();
}

std::string Stream(std::string_view content, std::size_t chunk) {
  const auto size_of = [](std::size_t size) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift & 0xff);
    return bytes;
  };
  std::string stream;
  for (std::size_t at = 0; at < content.size(); at += chunk) {
    const std::string_view piece = content.substr(at, chunk);
    stream += size_of(piece.size()) + std::string(piece);
  }
  return stream + size_of(0);
}

Output RunProgram(std::vector<std::string> command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t pid = Spawn(std::move(command), write_end.Get());
  write_end.Reset();
  Output output;
  char buffer[4096];
  for (ssize_t n; (n = ::read(read_end.Get(), buffer, sizeof buffer)) > 0;) {
    output.text.append(buffer, static_cast<std::size_t>(n));
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  output.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return output;
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return lines;
}

std::string Comparable(const std::string& replies) {
  return std::regex_replace(replies, std::regex("fd\\[[0-9]+\\]"), "fd[N]");
}

UniqueFd OpenFile(const std::filesystem::path& path, int flags) {
  return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC));
}

ClamdDoorTest::ClamdDoorTest() {
  root_.Write("files/clean", "nothing in here");
  root_.Write("files/empty", "");
  root_.Write("files/eicar", EicarWithPrefix(1));
  root_.Write("files/below/eicar", EicarWithPrefix(2));
  root_.Write("files/below/deep/eicar", EicarWithPrefix(3));
  root_.Write("files/below/deep/clean", "nothing either");
  root_.Write("files/harmless/a", "a");
  root_.Write("files/harmless/b/c", "c");
  root_.MakeDirectory("files/hollow");
}

std::vector<std::string> ClamdDoorTest::DoorArguments(std::vector<std::string> more) const {
  std::vector<std::string> arguments = {"--clamd-listen", "unix:" + socket().native(), "--set",
                                        "clamd.allow_paths=" + files()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

ServerProcess& ClamdDoorTest::StartDoor(std::vector<std::string> arguments) {
  return Start(DoorArguments(std::move(arguments)));
}

ServerProcess& ClamdDoorTest::StartDoorWithHooks(std::vector<std::string> arguments) {
  return StartWithHooks(DoorArguments(std::move(arguments)));
}

std::size_t ClamdDoorTest::OpenDescriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", server().pid()))) {
    ++count;
  }
  return count;
}

}  // namespace lazaret::tests
