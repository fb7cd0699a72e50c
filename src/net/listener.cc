#include "net/listener.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace lazaret::net {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr std::string_view kUnix = "unix:";

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

Result<tcp::endpoint> ParseAddress(const std::string& text) {
  const auto colon = text.rfind(':');
  const Error error{Errc::kMalformed, fmt::format("\"{}\" is not ADDRESS:PORT or unix:/PATH to listen on", text)};
  if (colon == std::string::npos) return std::unexpected(error);
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  boost::system::error_code failed;
  const auto address = asio::ip::make_address(host, failed);
  unsigned port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, bad] = std::from_chars(text.data() + colon + 1, end, port);
  if (failed || bad != std::errc() || rest != end || port > 65535) return std::unexpected(error);
  return tcp::endpoint(address, static_cast<unsigned short>(port));
}

std::string Text(const tcp::endpoint& endpoint) {
  const bool v6 = endpoint.address().is_v6();
  return fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), endpoint.address().to_string(), endpoint.port());
}

// SO_REUSEPORT would let a second server of the same user share the port unnoticed.
Result<void> CheckNobodyListens(const tcp::endpoint& endpoint) {
  if (endpoint.port() == 0) return {};
  asio::io_context io;
  tcp::acceptor probe(io);
  boost::system::error_code failed;
  probe.open(endpoint.protocol(), failed);
  if (!failed) probe.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed && endpoint.address().is_v6()) probe.set_option(asio::ip::v6_only(true), failed);
  if (!failed) probe.bind(endpoint, failed);
  if (failed) {
    return Fail(Errc::kUnavailable, fmt::format("cannot listen on {}: {}; is another server running there?",
                                                Text(endpoint), failed.message()));
  }
  return {};
}

Result<Acceptor> OpenTcp(asio::io_context& io, tcp::endpoint& endpoint) {
  tcp::acceptor acceptor(io);
  boost::system::error_code failed;
  const auto step = [&](auto action) {
    if (!failed) action();
  };
  step([&] { acceptor.open(endpoint.protocol(), failed); });
  step([&] { acceptor.set_option(tcp::acceptor::reuse_address(true), failed); });
  step([&] { acceptor.set_option(ReusePort(true), failed); });
  if (endpoint.address().is_v6()) step([&] { acceptor.set_option(asio::ip::v6_only(true), failed); });
  step([&] { acceptor.bind(endpoint, failed); });
  step([&] { acceptor.listen(4096, failed); });
  step([&] { acceptor.native_non_blocking(true, failed); });
  step([&] { endpoint = acceptor.local_endpoint(failed); });
  if (failed) {
    return Fail(Errc::kUnavailable, fmt::format("cannot listen on {}: {}", Text(endpoint), failed.message()));
  }
  // Or the programs that we start would listen as well.
  if (::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC) != 0) {
    return std::unexpected(SystemError("cannot listen on " + Text(endpoint), errno));
  }
  return Acceptor(std::move(acceptor));
}

Result<Acceptor> Share(asio::io_context& io, const UnixListener& listener) {
  UniqueFd socket(::fcntl(listener.Get(), F_DUPFD_CLOEXEC, 0));
  if (!socket) return std::unexpected(SystemError("cannot listen on " + listener.path().native(), errno));
  Acceptor acceptor(io);
  boost::system::error_code failed;
  acceptor.assign(asio::generic::stream_protocol(AF_UNIX, 0), socket.Get(), failed);
  if (failed) return Fail(Errc::kUnavailable, "cannot listen on " + listener.path().native() + ": " + failed.message());
  (void)socket.Release();  // the acceptor's
  return acceptor;
}

}  // namespace

Result<Listener> Listener::Open(const std::string& address, mode_t mode, const std::string& owner) {
  if (address.starts_with(kUnix)) {
    auto listener = UnixListener::Open(address.substr(kUnix.size()), mode, owner);
    if (!listener) return std::unexpected(listener.error());
    return Listener(*std::move(listener));
  }
  const auto endpoint = ParseAddress(address);
  if (!endpoint) return std::unexpected(endpoint.error());
  if (auto free = CheckNobodyListens(*endpoint); !free) return std::unexpected(free.error());
  return Listener(*endpoint);
}

Result<Acceptor> Listener::MakeAcceptor(asio::io_context& io) {
  if (tcp::endpoint* const endpoint = std::get_if<tcp::endpoint>(&place_)) return OpenTcp(io, *endpoint);
  return Share(io, std::get<UnixListener>(place_));
}

std::string Listener::address() const {
  if (const tcp::endpoint* const endpoint = std::get_if<tcp::endpoint>(&place_)) return Text(*endpoint);
  return std::string(kUnix) + std::get<UnixListener>(place_).path().native();
}

void Listener::Close() {
  if (UnixListener* const listener = std::get_if<UnixListener>(&place_)) listener->Close();
}

// asio's own accept leaves the socket open for the programs that we start: a client would not see it closed.
aio::Task<Result<Socket>> Accept(Acceptor& acceptor) {
  for (;;) {
    const auto [closed] = co_await acceptor.async_wait(Acceptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (closed) co_return Fail(Errc::kCancelled, "nobody listens any more");
    UniqueFd fd(::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      // Another thread was faster, or the client has left.
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) continue;
      co_return std::unexpected(SystemError("cannot accept a connection", errno));
    }
    Socket socket(acceptor.get_executor());
    boost::system::error_code failed;
    const auto own = acceptor.local_endpoint(failed);
    if (!failed) socket.assign(own.protocol(), fd.Get(), failed);
    if (failed) co_return Fail(Errc::kInternal, "cannot accept a connection: " + failed.message());
    (void)fd.Release();  // the socket's
    boost::system::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);  // a Unix socket knows no such thing
    co_return socket;
  }
}

}  // namespace lazaret::net
