#include "http/input.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "aio/deadline.h"

namespace lazaret::http {
namespace asio = boost::asio;

void Deadline::Check(SteadyTime now) {
  if (now >= at_) {
    // Again at every look: an operation that was just between two waits has missed the first.
    passed_ = true;
  } else if (idle_ && holds_buffer_ && std::exchange(was_looked_at_, true)) {
    is_quiet_ = true;
  } else {
    return;
  }
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

Input::~Input() { buffers_.Give(std::move(buffer_)); }

std::string_view Input::buffered() const {
  if (buffer_ == nullptr) return std::string_view(parked_).substr(begin_);
  return {buffer_->data() + begin_, end_ - begin_};
}

void Input::Consume(std::size_t bytes) {
  begin_ += bytes;
  if (buffer_ == nullptr && begin_ == parked_.size()) DropParked();
}

void Input::DropParked() {
  std::string().swap(parked_);  // an assignment would keep the memory
  begin_ = 0;
}

std::optional<uid_t> Input::PeerUser() const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!socket_.is_open() || ::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return std::nullopt;
  }
  // What the kernel says of a socket without such a peer.
  return peer.uid == static_cast<uid_t>(-1) ? std::nullopt : std::optional(peer.uid);
}

void Input::Park() {
  if (buffer_ == nullptr) return;
  parked_ = std::string(buffered());
  begin_ = 0;
  buffers_.Give(std::move(buffer_));
}

void Input::Unpark() {
  if (buffer_ == nullptr) {
    buffer_ = buffers_.Take();
    end_ = parked_.copy(buffer_->data(), parked_.size(), begin_);
    DropParked();
  } else if (begin_ > 0) {
    std::memmove(buffer_->data(), buffer_->data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
}

std::optional<Result<void>> Input::MoreNow(std::size_t most) {
  Unpark();
  const std::size_t room = std::min(most, buffer_->size() - end_);
  if (room == 0) return Fail(Errc::kTooLarge, "the read buffer is full");
  ssize_t n;
  do {
    n = ::recv(socket_.native_handle(), buffer_->data() + end_, room, MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    end_ += static_cast<std::size_t>(n);
    return Result<void>();
  }
  if (n == 0) return Fail(Errc::kDisconnected, "the client closed the connection");
  if (errno != EAGAIN) return Fail(Errc::kDisconnected, "the connection was lost");
  Park();
  return std::nullopt;
}

Result<void> Input::AfterWait(bool failed) const {
  if (deadline_.passed()) return Fail(Errc::kTimeout, "the client is too slow");
  if (failed) return Fail(Errc::kDisconnected, "the connection was lost");
  return {};
}

aio::Task<Result<void>> Input::More(std::size_t most) {
  for (;;) {
    if (deadline_.passed()) co_return AfterWait(false);
    Unpark();
    if (end_ == 0 && buffers_.HasPlenty() && !deadline_.is_quiet()) {
      if (auto received = co_await Receive(most)) co_return *std::move(received);
    }
    Park();
    const auto [failed] = co_await socket_.async_wait(net::Socket::wait_read, asio::as_tuple(asio::use_awaitable));
    if (auto waited = AfterWait(static_cast<bool>(failed)); !waited) co_return waited;
    if (auto now = MoreNow(most)) co_return *std::move(now);
  }
}

bool Input::HasArrived() const {
  char byte;
  return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

aio::Task<Result<void>> Input::Arrival() {
  Park();
  if (deadline_.passed()) co_return AfterWait(false);
  const auto [failed] = co_await socket_.async_wait(net::Socket::wait_read, asio::as_tuple(asio::use_awaitable));
  co_return AfterWait(static_cast<bool>(failed));
}

// With a buffer in hand the reactor reads into it itself, which saves the call that arms a wait (epoll_ctl(2)). Empty
// when the connection is quiet.
aio::Task<std::optional<Result<void>>> Input::Receive(std::size_t most) {
  deadline_.HoldsBuffer(true);
  const auto [failed, received] =
      co_await socket_.async_receive(asio::buffer(*buffer_, most), asio::as_tuple(asio::use_awaitable));
  deadline_.HoldsBuffer(false);
  if (failed && deadline_.is_quiet() && !deadline_.passed()) co_return std::nullopt;
  if (auto waited = AfterWait(static_cast<bool>(failed)); !waited) co_return waited;
  end_ = received;
  co_return Result<void>();
}

aio::Task<> Input::UntilClosed() {
  for (;;) {
    const auto [failed] = co_await socket_.async_wait(net::Socket::wait_read, asio::as_tuple(asio::use_awaitable));
    if (failed) co_return;
    char byte;
    const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) co_return;
    if (n < 0) continue;
    // The next request has been sent already. Its bytes hide the end of the stream, but not from poll(2).
    pollfd state{.fd = socket_.native_handle(), .events = POLLRDHUP, .revents = 0};
    if (::poll(&state, 1, 0) == 1) co_return;
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + milliseconds(250));
  }
}

}  // namespace lazaret::http
