#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lazaret::clamd {

struct SocketAccess {
  mode_t mode = 0660;  // of the file of a Unix socket
  std::string owner;   // "USER", "USER:GROUP" or ":GROUP"; empty: who runs the server
};

// A listening socket, non-blocking and close-on-exec. The file of a Unix socket is removed with it.
class Listener {
 public:
  // `address` is "unix:/PATH", "tcp:ADDRESS:PORT" or "tcp:[ADDRESS6]:PORT"; port 0 lets the kernel choose. kMalformed
  // when it is none of them, kUnavailable when it cannot be listened on; the message names it. The file of a Unix
  // socket on which nobody listens any more is replaced.
  static Result<Listener> Open(const std::string& address, const SocketAccess& access);
  Listener(Listener&&) = default;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  int fd() const { return fd_.Get(); }
  int family() const { return family_; }
  // As bound.
  const std::string& address() const { return address_; }

 private:
  Listener(UniqueFd fd, int family, std::string address)
      : fd_(std::move(fd)), family_(family), address_(std::move(address)) {}
  static Result<Listener> OpenUnix(const std::string& path, const SocketAccess& access);
  static Result<Listener> OpenTcp(const std::string& address);

  UniqueFd fd_;
  int family_;
  std::string address_;
  std::string path_;  // of a Unix socket
  dev_t device_ = 0;  // of its file, when it was ours
  ino_t inode_ = 0;
};

}  // namespace lazaret::clamd
