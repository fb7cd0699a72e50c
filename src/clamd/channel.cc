#include "clamd/channel.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cerrno>
#include <cstring>

namespace lazaret::clamd {
namespace asio = boost::asio;

namespace {

constexpr std::uint64_t kMostLingered = 256 * 1024 * 1024;
constexpr std::size_t kMostAtOnce = 1024 * 1024;
constexpr std::size_t kMostFds = 2;  // one more than a client may send

}  // namespace

Channel::Channel(net::Socket socket, net::IoThread& thread, FileShare files, milliseconds write_timeout)
    : socket_(std::move(socket)),
      thread_(thread),
      files_(std::move(files)),
      write_timeout_(write_timeout),
      watch_(thread, *this),
      sent_(thread.io(), SteadyTime::max()) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
}

Channel::~Channel() { Release(); }

void Channel::Release() { thread_.buffers().Give(std::move(buffer_)); }

void Channel::Cancel() {
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Channel::Break() {
  broken_ = true;
  Cancel();
}

void Channel::Check(SteadyTime now) {
  if (now >= write_deadline_) return Break();
  // Again at every look: an operation that was just between two waits has missed the first.
  if (now < read_deadline_) return;
  read_timed_out_ = true;
  Cancel();
}

void Channel::EndIfIdle() {
  if (idle_) Break();
}

Result<Channel::Arrival> Channel::Receive() {
  if (buffer_ == nullptr) buffer_ = thread_.buffers().Take();
  iovec io{.iov_base = buffer_->data(), .iov_len = buffer_->size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMostFds * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  // The kernel drops what there is no room for, and asks no file system about it.
  message.msg_controllen = files_.MayKeepMore() ? control.size() : 0;
  ssize_t n;
  do {
    n = ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    if (errno == EAGAIN) return Fail(Errc::kOverloaded, "nothing has arrived");
    return Fail(Errc::kDisconnected, "the connection was lost");
  }
  std::array<KeptFd, kMostFds> fds;
  std::size_t received = 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count && received < kMostFds; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      fds[received++] = files_.Keep(UniqueFd(fd));
    }
  }
  if (message.msg_flags & MSG_CTRUNC) return Fail(Errc::kMalformed, "too many descriptors came at once");
  if (n == 0) return Fail(Errc::kDisconnected, "the client closed the connection");
  Arrival arrival{.bytes = AsBytes({buffer_->data(), static_cast<std::size_t>(n)}), .fd = {}};
  // Of several it would be a guess which one is meant.
  if (received == 1) arrival.fd = std::move(fds[0]);
  return arrival;
}

aio::Task<Result<Channel::Arrival>> Channel::Read() {
  read_timed_out_ = false;
  for (;;) {
    if (broken_) co_return Fail(Errc::kDisconnected, "the connection is over");
    auto arrival = Receive();
    if (arrival || arrival.error().code != Errc::kOverloaded) {
      read_deadline_ = SteadyTime::max();
      if (arrival) burst_ += arrival->bytes.size();
      // A client that sends without a pause must not keep the thread from the others.
      if (burst_ >= kMostAtOnce) {
        burst_ = 0;
        co_await asio::post(thread_.io(), asio::use_awaitable);
      }
      co_return arrival;
    }
    burst_ = 0;
    Release();
    const auto [failed] = co_await socket_.async_wait(net::Socket::wait_read, asio::as_tuple(asio::use_awaitable));
    if (read_timed_out_) {
      read_deadline_ = SteadyTime::max();
      co_return Fail(Errc::kTimeout, "the client is too slow");
    }
    if (failed) co_return Fail(Errc::kDisconnected, "the connection is over");
  }
}

aio::Task<bool> Channel::Write(std::string text) {
  if (broken_) co_return false;
  unsent_ += text;
  if (sending_) {
    // Whoever is sending takes this along; waiting for it bounds what can pile up.
    while (sending_) co_await sent_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return !broken_;
  }
  struct Sending {
    Channel& channel;
    explicit Sending(Channel& c) : channel(c) { channel.sending_ = true; }
    ~Sending() {
      channel.sending_ = false;
      channel.write_deadline_ = SteadyTime::max();
      channel.sent_.cancel();
    }
  } sending(*this);
  while (!unsent_.empty() && !broken_) {
    const std::string batch = std::exchange(unsent_, {});
    write_deadline_ = std::chrono::steady_clock::now() + write_timeout_;
    const auto [failed, sent] =
        co_await asio::async_write(socket_, asio::buffer(batch), asio::as_tuple(asio::use_awaitable));
    if (failed) Break();
  }
  co_return !broken_;
}

aio::Task<> Channel::UntilGone() {
  // An error, a hang-up, or urgent data, which no client of clamd sends and which would wake this for ever.
  (void)co_await socket_.async_wait(net::Socket::wait_error, asio::as_tuple(asio::use_awaitable));
}

aio::Task<> Channel::CloseGently(milliseconds linger) {
  if (broken_) co_return;
  boost::system::error_code ignored;
  socket_.shutdown(net::Socket::shutdown_send, ignored);
  SetIdle(true);
  const SteadyTime end = std::chrono::steady_clock::now() + linger;
  for (std::uint64_t dropped = 0; dropped < kMostLingered;) {
    SetReadDeadline(end);
    const auto arrival = co_await Read();
    if (!arrival || std::chrono::steady_clock::now() >= end) co_return;
    dropped += arrival->bytes.size();
  }
}

}  // namespace lazaret::clamd
