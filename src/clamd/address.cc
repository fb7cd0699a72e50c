#include "clamd/address.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace lazaret::clamd {
namespace {

constexpr int kBacklog = 4096;
constexpr int kSocketFlags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

std::unexpected<Error> CannotListen(const std::string& address, std::string_view step) {
  return Fail(Errc::kUnavailable,
              fmt::format("cannot listen on {}: {}: {}", address, step, std::generic_category().message(errno)));
}

Result<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!path.starts_with('/') || path.size() >= sizeof address.sun_path) {
    return Fail(Errc::kMalformed, fmt::format("\"unix:{}\" is not unix:/PATH with an absolute path of at most {} bytes",
                                              path, sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

// Removes what a server that has ended left behind.
Result<void> RemoveStale(const std::string& path, const sockaddr_un& address) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return {};
  const std::string name = "unix:" + path;
  if (!S_ISSOCK(status.st_mode)) {
    return Fail(Errc::kUnavailable, fmt::format("cannot listen on {}: there is a file that is no socket", name));
  }
  const UniqueFd probe(::socket(AF_UNIX, kSocketFlags, 0));
  if (!probe) return CannotListen(name, "socket");
  // A full backlog (EAGAIN) is somebody's, too.
  if (::connect(probe.Get(), Generic(address), sizeof address) == 0 || errno != ECONNREFUSED) {
    return Fail(Errc::kUnavailable, fmt::format("cannot listen on {}: another server does", name));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return CannotListen(name, "removing the stale socket");
  return {};
}

struct Owner {
  uid_t user = static_cast<uid_t>(-1);
  gid_t group = static_cast<gid_t>(-1);
};

Result<Owner> FindOwner(const std::string& text) {
  Owner owner;
  const std::size_t colon = text.find(':');
  if (const std::string user = text.substr(0, colon); !user.empty()) {
    const passwd* const entry = ::getpwnam(user.c_str());  // before there are other threads
    if (entry == nullptr) return Fail(Errc::kMalformed, fmt::format("there is no user {} (clamd.socket_owner)", user));
    owner.user = entry->pw_uid;
  }
  if (colon == text.npos) return owner;
  const std::string name = text.substr(colon + 1);
  const ::group* const entry = ::getgrnam(name.c_str());
  if (entry == nullptr) return Fail(Errc::kMalformed, fmt::format("there is no group {} (clamd.socket_owner)", name));
  owner.group = entry->gr_gid;
  return owner;
}

union InternetAddress {
  sockaddr_storage any;
  sockaddr generic;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

std::optional<InternetAddress> ParseInternet(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  std::string host(text.substr(0, colon));
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [rest, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (bad != std::errc() || rest != digits.data() + digits.size()) return std::nullopt;
  InternetAddress address{};
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    if (::inet_pton(AF_INET6, host.c_str(), &address.v6.sin6_addr) != 1) return std::nullopt;
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(port);
  } else {
    if (::inet_pton(AF_INET, host.c_str(), &address.v4.sin_addr) != 1) return std::nullopt;
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(port);
  }
  return address;
}

std::uint16_t PortOf(int fd) {
  InternetAddress bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(fd, &bound.generic, &size) != 0) return 0;
  return ntohs(bound.any.ss_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
}

}  // namespace

Result<Listener> Listener::Open(const std::string& address, const SocketAccess& access) {
  if (address.starts_with("unix:")) return OpenUnix(address.substr(5), access);
  if (address.starts_with("tcp:")) return OpenTcp(address);
  return Fail(Errc::kMalformed, fmt::format("\"{}\" is neither unix:/PATH nor tcp:ADDRESS:PORT", address));
}

Result<Listener> Listener::OpenUnix(const std::string& path, const SocketAccess& access) {
  const auto address = UnixAddress(path);
  if (!address) return std::unexpected(address.error());
  const auto owner = FindOwner(access.owner);
  if (!owner) return std::unexpected(owner.error());
  if (auto removed = RemoveStale(path, *address); !removed) return std::unexpected(removed.error());
  const std::string name = "unix:" + path;
  UniqueFd fd(::socket(AF_UNIX, kSocketFlags, 0));
  if (!fd) return CannotListen(name, "socket");
  if (::bind(fd.Get(), Generic(*address), sizeof *address) != 0) return CannotListen(name, "bind");
  Listener listener(std::move(fd), AF_UNIX, name);
  listener.path_ = path;
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return CannotListen(name, "stat");
  listener.device_ = status.st_dev;
  listener.inode_ = status.st_ino;
  // Before it listens: until then nobody can connect.
  if (!access.owner.empty() && ::lchown(path.c_str(), owner->user, owner->group) != 0) {
    return CannotListen(name, "giving it to " + access.owner);
  }
  if (::chmod(path.c_str(), access.mode) != 0) return CannotListen(name, "chmod");
  if (::listen(listener.fd(), kBacklog) != 0) return CannotListen(name, "listen");
  return listener;
}

Result<Listener> Listener::OpenTcp(const std::string& text) {
  const std::string host_and_port = text.substr(4);
  const auto address = ParseInternet(host_and_port);
  if (!address) return Fail(Errc::kMalformed, fmt::format("\"{}\" is not tcp:ADDRESS:PORT", text));
  const int family = address->any.ss_family;
  UniqueFd fd(::socket(family, kSocketFlags, 0));
  if (!fd) return CannotListen(text, "socket");
  const int on = 1;
  ::setsockopt(fd.Get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) ::setsockopt(fd.Get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const socklen_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (::bind(fd.Get(), &address->generic, size) != 0) return CannotListen(text, "bind");
  if (::listen(fd.Get(), kBacklog) != 0) return CannotListen(text, "listen");
  const std::uint16_t port = PortOf(fd.Get());
  return Listener(std::move(fd), family,
                  fmt::format("tcp:{}:{}", host_and_port.substr(0, host_and_port.rfind(':')), port));
}

Listener::~Listener() {
  if (!fd_ || path_.empty()) return;
  struct stat status{};
  // Another server may have put its own there.
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

}  // namespace lazaret::clamd
