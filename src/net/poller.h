#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "aio/task.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "net/socket.h"

struct epoll_event;

namespace lazaret::net {

class PolledSocket;

// Tells the sockets of one I/O thread what has happened on them. Asio's reactor wants to be asked before each wait, by
// a recv(2) in vain or by epoll_ctl(2); here a socket is made known once, and whether there may be more is known from
// how much the last read gave (epoll(7), edge-triggered). All of it belongs to the thread. It keeps the io_context
// running while somebody waits.
class Poller {
 public:
  // Throws std::system_error when there is no descriptor left.
  explicit Poller(boost::asio::io_context& io);

 private:
  friend class PolledSocket;
  void Add(PolledSocket& socket);
  void Remove(PolledSocket& socket);
  void OnWaitBegins();
  void OnWaitEnds();
  void Arm();
  void Dispatch() noexcept;

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor epoll_;
  std::span<epoll_event> events_;  // that are being handed on
  bool dispatching_ = false;
  std::size_t waiting_ = 0;       // sockets for which somebody waits
  std::uint64_t generation_ = 0;  // of the wait for events
};

// Whoever waits for a socket and can deal with most of what happens without being woken.
class Watcher {
 public:
  // Called within the wait: true to wait on. Must not throw, nor end the socket.
  virtual bool OnEvent() = 0;

 protected:
  ~Watcher() = default;
};

// A connection to a client. Nobody waits for it when it goes.
class PolledSocket {
 public:
  // Takes `socket`, which may be closed, out of Asio's reactor; `poller` outlives this. Throws std::system_error when
  // the kernel has no room for one more (epoll_ctl(2)).
  PolledSocket(Socket socket, Poller& poller);
  ~PolledSocket();
  PolledSocket(const PolledSocket&) = delete;
  PolledSocket& operator=(const PolledSocket&) = delete;

  bool is_open() const { return static_cast<bool>(fd_); }
  int native_handle() const { return fd_.Get(); }
  // There may be something to receive, or the end of it; known from the last event and what was received since.
  bool has_input() const { return has_input_; }
  // The same for certain; costs a call where there may be something.
  bool LookForInput();
  // The client has closed the connection, or its sending half of it, though there may still be something to receive.
  bool is_hung_up() const { return is_hung_up_; }

  // The number of bytes received without waiting, at least one; empty when there is nothing. kDisconnected at the end
  // of the stream, and for a connection that is lost. `into` is not empty.
  std::optional<Result<std::size_t>> ReceiveNow(std::span<char> into);
  // The number of bytes sent without waiting, perhaps 0. What went wrong shows at the next ReceiveNow.
  std::size_t SendNow(std::string_view bytes);
  // Sends all of it; false when the connection is lost or the wait was cancelled.
  aio::Task<bool> Send(std::string_view bytes);
  // Tells the client that nothing more will be sent.
  void EndSending();

  // The next thing that happens after this call, and that `watcher` does not deal with: look again then. Of what
  // has_input tells already nothing need ever come: look at that before, and within the wait, too. False when the wait
  // was cancelled. One task at a time.
  aio::Task<bool> Event(Watcher* watcher = nullptr);
  // Ends the wait that there is, soon.
  void CancelWait();

 private:
  friend class Poller;
  using Waiter = boost::asio::async_result<boost::asio::use_awaitable_t<>, void(bool)>::handler_type;

  void OnEvents(std::uint32_t events);
  Waiter TakeWaiter();
  bool Watch(std::uint32_t events);

  Poller& poller_;
  UniqueFd fd_;
  std::optional<Waiter> waiter_;
  Watcher* watcher_ = nullptr;  // of the wait
  bool is_tcp_ = false;
  bool has_input_ = false;
  bool is_hung_up_ = false;
};

}  // namespace lazaret::net
