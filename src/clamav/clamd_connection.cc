#include "clamav/clamd_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "wire/clamd_reply.h"

namespace lazaret::clamav {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

constexpr milliseconds kFirstPause{1};
constexpr milliseconds kLongestPause{100};

// Something that we, or our machine, have run out of.
bool IsOurShortage(const error_code& failed) {
  constexpr std::array kShortages = {EMFILE, ENFILE, ENOBUFS, ENOMEM, ETOOMANYREFS};
  return failed.category() == boost::system::system_category() &&
         std::ranges::find(kShortages, failed.value()) != kShortages.end();
}

Error Lost(const error_code& failed) {
  return {IsOurShortage(failed) ? Errc::kOverloaded : Errc::kDisconnected,
          fmt::format("the connection to clamd is lost: {}", failed.message())};
}

std::unexpected<Error> CannotConnect(const error_code& failed, int family) {
  Errc code = Errc::kUnavailable;
  // Without an address of that family IPv6 says so, too; with IPv4 all ports are in use.
  if (IsOurShortage(failed) || (family == AF_INET && failed == boost::system::errc::address_not_available)) {
    code = Errc::kOverloaded;
  }
  if (failed == boost::system::errc::timed_out) code = Errc::kTimeout;
  return Fail(code, fmt::format("cannot connect: {}", failed.message()));
}

}  // namespace

aio::Task<Result<ClamdConnection>> ClamdConnection::Open(ClamdEndpoint endpoint, SteadyTime deadline) {
  if (endpoint.protocol().family() == AF_UNIX) return OpenUnix(std::move(endpoint), deadline);
  return aio::WithDeadline(OpenTcp(std::move(endpoint)), deadline,
                           "it does not accept connections: it is busy, hangs, or is cut off");
}

// Asio takes EAGAIN, which says that the backlog is full (connect(2)), for a connection that is being made.
aio::Task<Result<ClamdConnection>> ClamdConnection::OpenUnix(ClamdEndpoint endpoint, SteadyTime deadline) {
  for (milliseconds pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    Socket socket(co_await asio::this_coro::executor);
    error_code failed;
    socket.open(endpoint.protocol(), failed);
    if (!failed) socket.native_non_blocking(true, failed);
    if (failed) co_return CannotConnect(failed, AF_UNIX);
    if (::connect(socket.native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) {
      co_return ClamdConnection(std::move(socket));
    }
    failed = error_code(errno, boost::system::system_category());
    if (failed.value() != EAGAIN) co_return CannotConnect(failed, AF_UNIX);
    const SteadyTime now = std::chrono::steady_clock::now();
    if (now >= deadline) co_return Fail(Errc::kTimeout, "it does not accept connections: it is busy, or hangs");
    socket.close(failed);
    co_await aio::SleepUntil(std::min(now + pause, deadline));
  }
}

aio::Task<Result<ClamdConnection>> ClamdConnection::OpenTcp(ClamdEndpoint endpoint) {
  Socket socket(co_await asio::this_coro::executor);
  error_code failed;
  socket.open(endpoint.protocol(), failed);
  if (failed) co_return CannotConnect(failed, endpoint.protocol().family());
  const auto [refused] = co_await socket.async_connect(endpoint, kAwait);
  if (refused) co_return CannotConnect(refused, endpoint.protocol().family());
  socket.native_non_blocking(true, failed);
  co_return ClamdConnection(std::move(socket));
}

aio::Task<Result<void>> ClamdConnection::Send(Bytes bytes) {
  const auto [failed, count] = co_await asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), kAwait);
  if (failed) co_return std::unexpected(Lost(failed));
  co_return Result<void>();
}

aio::Task<Result<bool>> ClamdConnection::SendUnlessAnswered(Bytes bytes) {
  using namespace asio::experimental::awaitable_operators;
  if (HasInput()) co_return false;
  auto sent = asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), kAwait);
  auto answered = socket_.async_wait(Socket::wait_read, kAwait);
  const auto first = co_await (std::move(sent) || std::move(answered));
  if (first.index() == 1) co_return false;
  // A peer that has closed its end may have said why.
  if (const error_code failed = std::get<0>(std::get<0>(first)); failed) co_return false;
  co_return true;
}

Result<void> ClamdConnection::SendDescriptor(int fd) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ssize_t sent;
  do {
    sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent == 1) return {};
  return std::unexpected(Lost(error_code(errno, boost::system::system_category())));
}

bool ClamdConnection::HasInput() {
  pollfd polled{socket_.native_handle(), POLLIN, 0};
  return ::poll(&polled, 1, 0) > 0;
}

aio::Task<Result<void>> ClamdConnection::WaitForInput() {
  const auto [failed] = co_await socket_.async_wait(Socket::wait_read, kAwait);
  if (failed) co_return std::unexpected(Lost(failed));
  co_return Result<void>();
}

aio::Task<Result<ClamdAnswer>> ClamdConnection::ReadToEnd() {
  ClamdAnswer answer;
  std::array<char, 1024> piece;
  for (;;) {
    const auto [failed, count] = co_await socket_.async_read_some(asio::buffer(piece), kAwait);
    answer.bytes.append(piece.data(), count);
    if (answer.bytes.size() > wire::kMaxClamdReply) co_return Fail(Errc::kMalformed, "clamd sent a reply without end");
    if (failed == asio::error::eof) co_return answer;
    if (failed == asio::error::connection_reset || failed == asio::error::broken_pipe) {
      answer.was_reset = true;
      co_return answer;
    }
    if (failed) co_return std::unexpected(Lost(failed));
  }
}

}  // namespace lazaret::clamav
