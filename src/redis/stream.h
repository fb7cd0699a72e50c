#pragma once

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <memory>
#include <span>

#include "aio/resolver.h"
#include "aio/task.h"
#include "base/result.h"
#include "redis/tls.h"
#include "redis/url.h"

namespace lazaret::redis {

// A connected byte stream: TCP, a Unix socket or TLS. One executor; one read and one write at a time.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // At least one byte. kDisconnected at the end of the stream or when it breaks.
  virtual aio::Task<Result<std::size_t>> ReadSome(boost::asio::mutable_buffer into) = 0;
  // All of it. kDisconnected when it breaks; how much went out is not known then.
  virtual aio::Task<Result<void>> Write(std::span<const boost::asio::const_buffer> buffers) = 0;
  // Ends what is under way with kDisconnected; may be called any number of times.
  virtual void Close() = 0;
};

// Connects to `endpoint`, over TLS when there is a `tls` context and the endpoint is not a Unix socket; the certificate
// must be for `server_name`, or for the endpoint's host when that is empty. kUnavailable with what went wrong. Ends
// early when it is cancelled. The references must live until then.
aio::Task<Result<std::unique_ptr<ByteStream>>> ConnectStream(const Endpoint& endpoint, TlsContext tls,
                                                             const std::string& server_name, aio::Resolver& resolver,
                                                             SteadyTime deadline);

}  // namespace lazaret::redis
