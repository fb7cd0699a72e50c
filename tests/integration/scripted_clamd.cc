#include "integration/scripted_clamd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>

#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using namespace std::string_view_literals;

void SendAll(const UniqueFd& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket.Get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::optional<std::string> ReceiveExactly(const UniqueFd& socket, std::size_t size) {
  std::string bytes(size, '\0');
  if (size == 0) return bytes;
  if (::recv(socket.Get(), bytes.data(), size, MSG_WAITALL) != static_cast<ssize_t>(size)) return std::nullopt;
  return bytes;
}

std::optional<std::string> ReceiveCommand(const UniqueFd& socket) {
  std::string command;
  for (char c = 1; command.size() < 100;) {
    if (::recv(socket.Get(), &c, 1, 0) != 1) return std::nullopt;
    if (c == '\0') return command;
    command += c;
  }
  return std::nullopt;
}

// The whole content, or, when `only_its_beginning` is wanted and it is a scripted one, no more than that.
std::optional<std::string> ReceiveStream(const UniqueFd& socket, bool only_its_beginning) {
  std::string content;
  for (;;) {
    const auto length = ReceiveExactly(socket, 4);
    if (!length) return std::nullopt;
    std::size_t size = 0;
    for (const char c : *length) size = size << 8 | static_cast<unsigned char>(c);
    if (size == 0) return content;
    const std::size_t first = std::min(size, kScripted.size());
    for (const std::size_t part : {first, size - first}) {
      const auto bytes = ReceiveExactly(socket, part);
      if (!bytes) return std::nullopt;
      content += *bytes;
      if (only_its_beginning && content == kScripted) return content;
    }
  }
}

std::optional<std::string> ReceiveFile(const UniqueFd& socket) {
  char byte;
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(socket.Get(), &message, MSG_CMSG_CLOEXEC) != 1) return std::nullopt;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) return std::nullopt;
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  const UniqueFd file(fd);
  struct stat status{};
  if (::fstat(file.Get(), &status) != 0) return std::nullopt;
  std::string content(static_cast<std::size_t>(status.st_size), '\0');
  if (::pread(file.Get(), content.data(), content.size(), 0) != static_cast<ssize_t>(content.size()))
    return std::nullopt;
  return content;
}

std::string Replaced(std::string text, std::string_view subject) {
  for (std::size_t at; (at = text.find("{}")) != text.npos;) text.replace(at, 2, subject);
  return text;
}

}  // namespace

ScriptedClamd::ScriptedClamd(const TestDirectory& root, bool tcp, Script script)
    : script_(std::move(script)), address_{.path = root / "scripted.socket", .host = {}, .port = 0} {
  if (tcp) {
    ListenOn("127.0.0.1", 0);
    return;
  }
  ::unlink(address_.path.c_str());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  address_.path.copy(address.sun_path, sizeof address.sun_path - 1);
  Listen(&address, sizeof address);
}

ScriptedClamd::ScriptedClamd(const std::string& host, std::uint16_t port, Script script) : script_(std::move(script)) {
  ListenOn(host, port);
}

void ScriptedClamd::ListenOn(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) throw std::runtime_error("address");
  Listen(&address, sizeof address);
  socklen_t size = sizeof address;
  ::getsockname(listener_.Get(), reinterpret_cast<sockaddr*>(&address), &size);
  address_ = {.path = {}, .host = host, .port = ntohs(address.sin_port)};
}

void ScriptedClamd::Listen(const void* address, std::size_t size) {
  const auto* const generic = static_cast<const sockaddr*>(address);
  listener_ = UniqueFd(::socket(generic->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(listener_.Get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener_.Get(), generic, static_cast<socklen_t>(size)) != 0) throw std::runtime_error("bind");
  if (::listen(listener_.Get(), 64) != 0) throw std::runtime_error("listen");
  acceptor_ = std::jthread([this] { Accept(); });
}

ScriptedClamd::~ScriptedClamd() {
  stopping_ = true;
  ::shutdown(listener_.Get(), SHUT_RDWR);
  acceptor_.join();
  {
    std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  threads_.clear();
}

void ScriptedClamd::Accept() {
  while (!stopping_) {
    UniqueFd socket(::accept4(listener_.Get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) continue;
    std::lock_guard lock(mutex_);
    open_.push_back(socket.Get());
    threads_.emplace_back([this, taken = std::move(socket)]() mutable { Serve(std::move(taken)); });
  }
}

void ScriptedClamd::Serve(UniqueFd socket) {
  const auto command = ReceiveCommand(socket);
  if (command == "zPING") SendAll(socket, "PONG\0"sv);
  if (command == "zVERSION") {
    const std::string version = scripted_scans_ % 2 == 1 ? script_.version_after : Script{}.version_after;
    if (!version.empty()) SendAll(socket, version + '\0');
  }
  if (command == "zINSTREAM") {
    const auto content = ReceiveStream(socket, script_.at_once);
    if (content) Answer(socket, "stream", *content);
  }
  if (command == "zFILDES" && script_.refuses_descriptors) {
    ReceiveFile(socket);
    SendAll(socket, "No file descriptor received. ERROR\0"sv);
  } else if (command == "zFILDES") {
    if (const auto content = ReceiveFile(socket)) Answer(socket, "fd[12]", *content);
  }
  std::lock_guard lock(mutex_);
  std::erase(open_, socket.Get());
  socket.Reset();
}

void ScriptedClamd::Answer(const UniqueFd& socket, std::string_view subject, const std::string& content) {
  if (content.starts_with(kScripted)) return PlayScript(socket, subject);
  const bool is_looked_into =
      !script_.finds_nothing && (scripted_scans_ == 0 || content.size() <= script_.looks_into_after);
  const bool found = is_looked_into && content.find(Eicar()) != std::string::npos;
  SendAll(socket, Replaced(found ? "{}: Test.Eicar FOUND" : "{}: OK", subject) + '\0');
}

void ScriptedClamd::PlayScript(const UniqueFd& socket, std::string_view subject) {
  const auto number = static_cast<std::size_t>(scripted_scans_++);
  SendAll(socket, Replaced(number < script_.first.size() ? script_.first[number] : script_.reply, subject));
  if (script_.reset) {
    const linger at_once{1, 0};
    ::setsockopt(socket.Get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  if (!script_.stay_open) return;
  if (script_.at_once) {
    // The upload is left unread until the end.
    pollfd polled{socket.Get(), 0, 0};
    ::poll(&polled, 1, -1);
    return;
  }
  char byte;
  while (::recv(socket.Get(), &byte, 1, 0) > 0) {
  }
  if (!stopping_) ++closed_by_client_;
}

}  // namespace lazaret::tests
