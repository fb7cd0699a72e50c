#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

// Stream sockets that have a place in the file system (unix(7)).
namespace lazaret {

// Bytes that the path of a socket may have.
inline constexpr std::size_t kMaxSocketPath = 107;

// A connected, blocking, close-on-exec socket. Does not wait. kNotFound when nobody listens at `path`, kOverloaded when
// whoever does has too many waiting, kUnavailable when it cannot be reached, kMalformed for a path that is too long;
// the message names the path.
Result<UniqueFd> ConnectToUnixSocket(const std::filesystem::path& path);

// A socket that is listened on, and its file, which goes when this does.
class UnixListener {
 public:
  // Whoever may write to the file may connect: `mode` says who that is. `owner` is "USER", "USER:GROUP" or ":GROUP" to
  // give the file to; no other thread may look for users and groups meanwhile (getpwnam(3)). A file that a dead server
  // left is replaced. kUnavailable when somebody listens there already, when the file is no socket or cannot be made;
  // kMalformed for a path that is too long and an owner that there is not. The message names the path.
  static Result<UnixListener> Open(std::filesystem::path path, mode_t mode, const std::string& owner = {});
  UnixListener(UnixListener&& other) noexcept = default;
  UnixListener& operator=(UnixListener&& other) = delete;
  ~UnixListener() { Close(); }

  // Close-on-exec; -1 once it is closed.
  int Get() const { return socket_.Get(); }
  const std::filesystem::path& path() const { return path_; }
  // Removes the file, unless another server has put its own in its place, and closes the socket. Descriptors that were
  // duplicated from it go on.
  void Close();

 private:
  UnixListener(std::filesystem::path path, UniqueFd socket, dev_t device, ino_t inode)
      : path_(std::move(path)), socket_(std::move(socket)), device_(device), inode_(inode) {}

  std::filesystem::path path_;
  UniqueFd socket_;
  dev_t device_;
  ino_t inode_;
};

}  // namespace lazaret
