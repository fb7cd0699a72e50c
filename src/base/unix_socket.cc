#include "base/unix_socket.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace lazaret {
namespace {

constexpr int kBacklog = 4096;
static_assert(kMaxSocketPath == sizeof(sockaddr_un::sun_path) - 1);

std::unexpected<Error> Failed(std::string_view doing, int error_number) {
  Error error = SystemError(doing, error_number);
  if (error.code == Errc::kInternal) error.code = Errc::kUnavailable;
  return std::unexpected(std::move(error));
}

Result<sockaddr_un> AddressOf(const std::filesystem::path& path) {
  const std::string& text = path.native();
  if (text.empty() || text.size() > kMaxSocketPath || text.find('\0') != text.npos) {
    return Fail(Errc::kMalformed, fmt::format("{} cannot be the path of a Unix socket: that has 1 to {} bytes, not {}",
                                              text, kMaxSocketPath, text.size()));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  text.copy(address.sun_path, text.size());
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

// 0 or an error number. A non-blocking connect(2) of a Unix socket is done, or fails, at once.
int Connect(int socket, const sockaddr_un& address) {
  return ::connect(socket, Generic(address), sizeof address) == 0 ? 0 : errno;
}

UniqueFd MakeSocket() { return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

// Makes room at `path`: removes what a dead server left there.
Result<void> RemoveStale(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return {};  // bind(2) will say what is wrong
  const std::string doing = "cannot listen on " + path.native();
  if (!S_ISSOCK(found.st_mode)) {
    return Fail(Errc::kUnavailable, doing + ": there is a file already that is no socket");
  }
  const UniqueFd probe = MakeSocket();
  if (!probe) return Failed(doing, errno);
  const int failed = Connect(probe.Get(), address);
  if (failed == ENOENT) return {};
  if (failed == 0 || failed == EAGAIN || failed == EPROTOTYPE) {
    return Fail(Errc::kUnavailable, doing + ": somebody listens there already; is another server running?");
  }
  if (failed != ECONNREFUSED) return Failed(doing, failed);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return Failed("cannot remove the stale socket " + path.native(), errno);
  }
  return {};
}

struct Owner {
  uid_t user = static_cast<uid_t>(-1);  // chown(2): as it is
  gid_t group = static_cast<gid_t>(-1);
};

Result<Owner> FindOwner(const std::string& text, const std::string& doing) {
  Owner owner;
  const std::size_t colon = text.find(':');
  if (const std::string user = text.substr(0, colon); !user.empty()) {
    const passwd* const entry = ::getpwnam(user.c_str());
    if (entry == nullptr) return Fail(Errc::kMalformed, fmt::format("{}: there is no user {}", doing, user));
    owner.user = entry->pw_uid;
  }
  if (colon == text.npos) return owner;
  const std::string group = text.substr(colon + 1);
  const ::group* const entry = ::getgrnam(group.c_str());
  if (entry == nullptr) return Fail(Errc::kMalformed, fmt::format("{}: there is no group {}", doing, group));
  owner.group = entry->gr_gid;
  return owner;
}

}  // namespace

Result<UniqueFd> ConnectToUnixSocket(const std::filesystem::path& path) {
  const auto address = AddressOf(path);
  if (!address) return std::unexpected(address.error());
  UniqueFd socket = MakeSocket();
  if (!socket) return Failed("cannot make a socket", errno);
  const int failed = Connect(socket.Get(), *address);
  if (failed == EAGAIN) {
    return Fail(Errc::kOverloaded, fmt::format("{}: too many wait for the server there", path.native()));
  }
  if (failed == ENOENT || failed == ECONNREFUSED) {
    return Fail(Errc::kNotFound, SystemError("nobody listens on " + path.native(), failed).what);
  }
  if (failed != 0) return Failed("cannot connect to " + path.native(), failed);
  if (::fcntl(socket.Get(), F_SETFL, 0) != 0) return Failed("cannot make a socket", errno);
  return socket;
}

Result<UnixListener> UnixListener::Open(std::filesystem::path path, mode_t mode, const std::string& owner) {
  const auto address = AddressOf(path);
  if (!address) return std::unexpected(address.error());
  const std::string doing = "cannot listen on " + path.native();
  const auto to = FindOwner(owner, doing);
  if (!to) return std::unexpected(to.error());
  if (auto room = RemoveStale(path, *address); !room) return std::unexpected(room.error());
  UniqueFd socket = MakeSocket();
  // The file gets the mode of the socket less the umask: never more than wanted, not even for a moment.
  if (!socket || ::fchmod(socket.Get(), mode) != 0) return Failed(doing, errno);
  if (::bind(socket.Get(), Generic(*address), sizeof *address) != 0) return Failed(doing, errno);
  struct stat made{};
  const bool found = ::lstat(path.c_str(), &made) == 0;
  UnixListener listener(std::move(path), std::move(socket), made.st_dev, made.st_ino);
  // Before it listens: until then nobody can connect.
  if (found && !owner.empty() && ::lchown(listener.path_.c_str(), to->user, to->group) != 0) {
    return Failed(doing + ": giving it to " + owner, errno);
  }
  if (!found || ::chmod(listener.path_.c_str(), mode) != 0 || ::listen(listener.Get(), kBacklog) != 0) {
    return Failed(doing, errno);
  }
  return listener;
}

void UnixListener::Close() {
  if (!socket_) return;
  struct stat found{};
  if (::lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
  socket_.Reset();
}

}  // namespace lazaret
