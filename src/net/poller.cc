#include "net/poller.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/clock.h"

namespace lazaret::net {
namespace asio = boost::asio;

namespace {

// Handed on before timers and other tasks of the thread get their turn. An event can be a megabyte to be hashed.
constexpr std::size_t kMostInARow = 128;
constexpr std::size_t kMostAtOnce = 16;  // taken in by one call
constexpr milliseconds kLongest{8};
constexpr std::uint32_t kInput = EPOLLIN | EPOLLRDHUP | EPOLLET;

int MakeEpoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return fd;
}

}  // namespace

Poller::Poller(asio::io_context& io) : io_(io), epoll_(io, MakeEpoll()) {}

void Poller::Add(PolledSocket& socket) {
  epoll_event event{.events = kInput, .data = {.ptr = &socket}};
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, socket.fd_.Get(), &event) == 0) return;
  throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

void Poller::Remove(PolledSocket& socket) {
  // An event that has been taken in already would find nobody.
  for (epoll_event& event : events_) {
    if (event.data.ptr == &socket) event.data.ptr = nullptr;
  }
  (void)::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, socket.fd_.Get(), nullptr);
}

void Poller::OnWaitBegins() {
  if (++waiting_ == 1 && !dispatching_) Arm();
}

void Poller::OnWaitEnds() {
  if (--waiting_ > 0 || dispatching_) return;
  ++generation_;
  boost::system::error_code ignored;
  epoll_.cancel(ignored);
}

void Poller::Arm() {
  epoll_.async_wait(asio::posix::stream_descriptor::wait_read,
                    [this, generation = generation_](const boost::system::error_code& failed) {
                      if (failed || generation != generation_) return;
                      dispatching_ = true;
                      Dispatch();
                      dispatching_ = false;
                      if (waiting_ > 0) Arm();
                    });
}

void Poller::Dispatch() noexcept {
  std::array<epoll_event, kMostAtOnce> events;
  const SteadyTime end = CoarseSteadyNow() + kLongest;
  for (std::size_t handed_on = 0; handed_on < kMostInARow && CoarseSteadyNow() < end; handed_on += events_.size()) {
    const int n = ::epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(events.size()), 0);
    events_ = std::span(events).first(static_cast<std::size_t>(std::max(n, 0)));
    if (events_.empty()) return;
    for (epoll_event& event : events_) {
      if (event.data.ptr != nullptr) static_cast<PolledSocket*>(event.data.ptr)->OnEvents(event.events);
    }
  }
  events_ = {};
}

PolledSocket::PolledSocket(Socket socket, Poller& poller) : poller_(poller) {
  if (!socket.is_open()) return;
  boost::system::error_code failed;
  const int family = socket.local_endpoint(failed).protocol().family();
  is_tcp_ = family == AF_INET || family == AF_INET6;
  fd_.Reset(socket.release(failed));
  poller_.Add(*this);
}

PolledSocket::~PolledSocket() {
  assert(!waiter_);
  if (fd_) poller_.Remove(*this);
}

bool PolledSocket::LookForInput() {
  char byte = 0;
  if (has_input_ && ::recv(fd_.Get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) has_input_ = false;
  return has_input_;
}

std::optional<Result<std::size_t>> PolledSocket::ReceiveNow(std::span<char> into) {
  ssize_t n;
  do {
    n = ::recv(fd_.Get(), into.data(), into.size(), MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    const auto received = static_cast<std::size_t>(n);
    // What comes from now on is an event. A Unix socket also stops where descriptors were sent along (unix(7)). So does
    // TCP at urgent data, which has no place in HTTP: who sends it waits for what he sends next.
    if (is_tcp_ && received < into.size() && !is_hung_up_) has_input_ = false;
    return received;
  }
  if (n == 0) return Fail(Errc::kDisconnected, "the client closed the connection");
  if (errno != EAGAIN) return Fail(Errc::kDisconnected, "the connection was lost");
  has_input_ = false;
  return std::nullopt;
}

std::size_t PolledSocket::SendNow(std::string_view bytes) {
  const ssize_t sent = ::send(fd_.Get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

aio::Task<bool> PolledSocket::Send(std::string_view bytes) {
  bytes.remove_prefix(SendNow(bytes));
  if (bytes.empty()) co_return true;
  // Told when there is room from here on only: a Unix socket says so after each answer that the client has taken.
  bool going = Watch(kInput | EPOLLOUT);
  while (going && !bytes.empty()) {
    const ssize_t sent = ::send(fd_.Get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EINTR) {
      going = errno == EAGAIN && co_await Event();
    }
  }
  co_return Watch(kInput) && going;
}

void PolledSocket::EndSending() { (void)::shutdown(fd_.Get(), SHUT_WR); }

bool PolledSocket::Watch(std::uint32_t events) {
  epoll_event event{.events = events, .data = {.ptr = this}};
  return ::epoll_ctl(poller_.epoll_.native_handle(), EPOLL_CTL_MOD, fd_.Get(), &event) == 0;
}

aio::Task<bool> PolledSocket::Event(Watcher* watcher) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(
      [this, watcher](Waiter waiter) {
        assert(!waiter_);
        auto slot = asio::get_associated_cancellation_slot(waiter);
        waiter_.emplace(std::move(waiter));
        watcher_ = watcher;
        poller_.OnWaitBegins();
        if (slot.is_connected()) slot.assign([this](asio::cancellation_type) { CancelWait(); });
        if (!is_open()) CancelWait();
      },
      asio::use_awaitable);
}

void PolledSocket::CancelWait() {
  if (!waiter_) return;
  // Later: whoever cancels may be looking through a list that this wait's end changes.
  asio::post(poller_.io_, [waiter = TakeWaiter()]() mutable { std::move(waiter)(false); });
}

void PolledSocket::OnEvents(std::uint32_t events) {
  const bool is_over = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (is_over || (events & EPOLLIN) != 0) has_input_ = true;
  is_hung_up_ = is_hung_up_ || is_over;
  if (!waiter_ || (watcher_ != nullptr && watcher_->OnEvent()) || !waiter_) return;
  Waiter waiter = TakeWaiter();
  std::move(waiter)(true);
}

PolledSocket::Waiter PolledSocket::TakeWaiter() {
  Waiter waiter = *std::move(waiter_);
  waiter_.reset();
  poller_.OnWaitEnds();
  return waiter;
}

}  // namespace lazaret::net
