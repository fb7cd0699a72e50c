#pragma once

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <cstdlib>
#include <utility>

#include "base/unique_fd.h"
#include "net/socket.h"

namespace lazaret::net {

// Both ends of a connection, for tests: the server's, and the client's, which blocks. `family` is AF_UNIX or AF_INET.
inline std::pair<Socket, UniqueFd> SampleConnection(boost::asio::io_context& io, int family) {
  using boost::asio::ip::tcp;
  if (family == AF_UNIX) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
    return {Socket(io, boost::asio::generic::stream_protocol(AF_UNIX, 0), ends[1]), UniqueFd(ends[0])};
  }
  tcp::acceptor acceptor(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  tcp::socket client(io);
  client.connect(acceptor.local_endpoint());
  client.non_blocking(false);
  Socket server(acceptor.accept());
  return {std::move(server), UniqueFd(client.release())};
}

}  // namespace lazaret::net
