#pragma once

#include <boost/asio/generic/stream_protocol.hpp>

#include <string>
#include <string_view>

#include "aio/task.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/result.h"

namespace lazaret::clamav {

// What a server sent until its end of the connection was closed.
struct ClamdAnswer {
  std::string bytes;
  bool was_reset = false;  // closed in disorder
};

// A connection for one command. One executor; closed when it is destroyed.
class ClamdConnection {
 public:
  using Endpoint = boost::asio::generic::stream_protocol::endpoint;

  // kUnavailable when nobody takes it.
  static aio::Task<Result<ClamdConnection>> Open(Endpoint endpoint);

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

  Socket socket_;
};

}  // namespace lazaret::clamav
