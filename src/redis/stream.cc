#include "redis/stream.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <utility>

namespace lazaret::redis {
namespace asio = boost::asio;
using asio::ip::tcp;
using UnixSocket = asio::local::stream_protocol::socket;
using TlsStream = asio::ssl::stream<tcp::socket>;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

void CloseSocket(auto& socket) {
  boost::system::error_code ignored;
  socket.close(ignored);
}

template <class Stream>
class StreamOf final : public ByteStream {
 public:
  explicit StreamOf(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

  aio::Task<Result<std::size_t>> ReadSome(asio::mutable_buffer into) override {
    const auto [failed, count] = co_await stream_->async_read_some(into, kTuple);
    if (!failed) co_return count;
    if (failed == asio::error::eof || failed == asio::ssl::error::stream_truncated) {
      co_return Fail(Errc::kDisconnected, "Redis closed the connection");
    }
    co_return Fail(Errc::kDisconnected, fmt::format("the connection to Redis broke: {}", failed.message()));
  }

  aio::Task<Result<void>> Write(std::span<const asio::const_buffer> buffers) override {
    const auto [failed, count] = co_await asio::async_write(*stream_, buffers, kTuple);
    if (failed) {
      co_return Fail(Errc::kDisconnected, fmt::format("the connection to Redis broke: {}", failed.message()));
    }
    co_return Result<void>{};
  }

  void Close() override { CloseSocket(stream_->lowest_layer()); }

 private:
  const std::unique_ptr<Stream> stream_;
};

template <class Stream>
std::unique_ptr<ByteStream> Wrap(std::unique_ptr<Stream> stream) {
  return std::make_unique<StreamOf<Stream>>(std::move(stream));
}

aio::Task<Result<tcp::socket>> ConnectTcp(const Endpoint& endpoint, aio::Resolver& resolver, SteadyTime deadline) {
  aio::Addresses addresses;
  boost::system::error_code not_an_address;
  if (const auto address = asio::ip::make_address(endpoint.host, not_an_address); !not_an_address) {
    addresses.push_back(address);
  } else {
    auto found = co_await resolver.Resolve(endpoint.host, deadline);
    if (!found) co_return std::unexpected(std::move(found.error()));
    addresses = *std::move(found);
  }
  tcp::socket socket(co_await asio::this_coro::executor);
  boost::system::error_code last;
  for (const asio::ip::address& address : addresses) {
    CloseSocket(socket);
    const auto [failed] = co_await socket.async_connect(tcp::endpoint(address, endpoint.port), kTuple);
    last = failed;
    if (!failed) break;
  }
  if (last) {
    co_return Fail(Errc::kUnavailable,
                   fmt::format("cannot connect to Redis at {}: {}", endpoint.Text(), last.message()));
  }
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  co_return socket;
}

}  // namespace

aio::Task<Result<std::unique_ptr<ByteStream>>> ConnectStream(const Endpoint& endpoint, TlsContext tls,
                                                             const std::string& server_name, aio::Resolver& resolver,
                                                             SteadyTime deadline) {
  if (endpoint.is_unix()) {
    auto socket = std::make_unique<UnixSocket>(co_await asio::this_coro::executor);
    const auto [failed] = co_await socket->async_connect(asio::local::stream_protocol::endpoint(endpoint.path), kTuple);
    if (failed) {
      co_return Fail(Errc::kUnavailable,
                     fmt::format("cannot connect to Redis at {}: {}", endpoint.Text(), failed.message()));
    }
    co_return Wrap(std::move(socket));
  }
  auto connected = co_await ConnectTcp(endpoint, resolver, deadline);
  if (!connected) co_return std::unexpected(std::move(connected.error()));
  if (tls == nullptr) co_return Wrap(std::make_unique<tcp::socket>(*std::move(connected)));

  auto stream = std::make_unique<TlsStream>(*std::move(connected), *tls);
  DemandName(stream->native_handle(), server_name.empty() ? endpoint.host : server_name);
  const auto [failed] = co_await stream->async_handshake(asio::ssl::stream_base::client, kTuple);
  if (!failed) co_return Wrap(std::move(stream));
  if (const long verdict = SSL_get_verify_result(stream->native_handle()); verdict != X509_V_OK) {
    co_return Fail(Errc::kUnavailable, fmt::format("the certificate of Redis at {} is not trusted: {}", endpoint.Text(),
                                                   X509_verify_cert_error_string(verdict)));
  }
  co_return Fail(Errc::kUnavailable,
                 fmt::format("no TLS connection to Redis at {}: {}", endpoint.Text(), failed.message()));
}

}  // namespace lazaret::redis
