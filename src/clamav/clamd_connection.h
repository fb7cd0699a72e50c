#pragma once

#include <boost/asio/generic/stream_protocol.hpp>

#include <string>
#include <string_view>

#include "aio/task.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/result.h"
#include "clamav/clamd_endpoints.h"

namespace lazaret::clamav {

// What a server sent until its end of the connection was closed.
struct ClamdAnswer {
  std::string bytes;
  bool was_reset = false;  // closed in disorder
};

// A connection for one command. One executor; closed when it is destroyed.
class ClamdConnection {
 public:
  // kTimeout when the server has not accepted by `deadline`: it is busy, hangs, or is cut off. kUnavailable when nobody
  // listens there. Here and below kOverloaded when the system has no socket, port, descriptor or memory left for us.
  static aio::Task<Result<ClamdConnection>> Open(ClamdEndpoint endpoint, SteadyTime deadline);

  // kDisconnected when the peer does not take them.
  aio::Task<Result<void>> Send(Bytes bytes);
  // The same, but false as soon as the peer says anything or closes its end; then not all may have been sent.
  aio::Task<Result<bool>> SendUnlessAnswered(Bytes bytes);
  // One byte that carries `fd` (unix(7), SCM_RIGHTS).
  Result<void> SendDescriptor(int fd);
  // Whether the peer has said something or closed its end.
  bool HasInput();

  // Until the first byte, or the end, is there.
  aio::Task<Result<void>> WaitForInput();
  // Everything until the end. kMalformed once it is longer than any reply.
  aio::Task<Result<ClamdAnswer>> ReadToEnd();

 private:
  using Socket = boost::asio::generic::stream_protocol::socket;
  explicit ClamdConnection(Socket socket) : socket_(std::move(socket)) {}

  static aio::Task<Result<ClamdConnection>> OpenUnix(ClamdEndpoint endpoint, SteadyTime deadline);
  static aio::Task<Result<ClamdConnection>> OpenTcp(ClamdEndpoint endpoint);

  Socket socket_;
};

}  // namespace lazaret::clamav
