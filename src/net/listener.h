#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <variant>

#include "aio/task.h"
#include "base/result.h"
#include "base/unix_socket.h"
#include "net/socket.h"

namespace lazaret::net {

// One address that any number of threads listen on.
class Listener {
 public:
  // "ADDRESS:PORT", "[ADDRESS6]:PORT" or "unix:/PATH"; `mode` and `owner` are for the file of the last, see
  // UnixListener. kMalformed for an address that is none, kUnavailable when it cannot be listened on; the message names
  // it.
  static Result<Listener> Open(const std::string& address, mode_t mode, const std::string& owner = {});

  // One for each thread, close-on-exec. TCP: the kernel spreads the connections over them (socket(7), SO_REUSEPORT),
  // and the first call picks the port where that is 0. Unix: all of them are the same socket, and whoever is quicker
  // gets the next.
  Result<Acceptor> MakeAcceptor(boost::asio::io_context& io);
  // As bound.
  std::string address() const;
  // Nobody new finds the address. The acceptors are to be closed as well.
  void Close();

 private:
  using Place = std::variant<boost::asio::ip::tcp::endpoint, UnixListener>;
  explicit Listener(Place place) : place_(std::move(place)) {}

  Place place_;
};

// The next connection: non-blocking, close-on-exec, its small packets not held back. Resumes on the acceptor's
// executor. kCancelled when the acceptor is closed; any other failure, such as a lack of descriptors, may pass.
aio::Task<Result<Socket>> Accept(Acceptor& acceptor);

}  // namespace lazaret::net
