#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <variant>

#include "base/result.h"
#include "base/unix_socket.h"
#include "http/socket.h"

namespace lazaret::http {

// One address that any number of threads listen on.
class Listener {
 public:
  // "ADDRESS:PORT", "[ADDRESS6]:PORT" or "unix:/PATH"; `socket_mode` is for the file of the last. kMalformed for an
  // address that is none, kUnavailable when it cannot be listened on; the message names it.
  static Result<Listener> Open(const std::string& address, mode_t socket_mode);

  // One for each thread. TCP: the kernel spreads the connections over them (socket(7), SO_REUSEPORT), and the first
  // call picks the port where that is 0. Unix: all of them are the same socket, and whoever is quicker gets the next.
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

}  // namespace lazaret::http
