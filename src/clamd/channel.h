#pragma once

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "aio/task.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/result.h"
#include "clamd/file_pool.h"
#include "net/io_thread.h"
#include "net/socket.h"

namespace lazaret::clamd {

// One socket, TCP or Unix: reads bytes and descriptors, writes replies, watches its deadlines. Its thread only.
class Channel final : public net::Deadlines {
 public:
  // What one read brought.
  struct Arrival {
    Bytes bytes;  // never empty; until the next Read or Release
    KeptFd fd;    // of a Unix socket, when exactly one came with the bytes; close-on-exec
  };

  // `files` closes descriptors.
  Channel(net::Socket socket, net::IoThread& thread, FileShare files, milliseconds write_timeout);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // kDisconnected when the client has closed its sending half or is lost, kTimeout when the read deadline passed,
  // kMalformed when more descriptors came than could be taken: two, none while too many wait to be closed. None of them
  // stays open.
  aio::Task<Result<Arrival>> Read();
  // Gives the read buffer back: before a long wait.
  void Release();
  void SetReadDeadline(SteadyTime at) { read_deadline_ = at; }
  // Nothing is under way: a server that ends need not wait for this channel.
  void SetIdle(bool idle) { idle_ = idle; }

  // Sends after what is being sent already; false when the client is lost or takes nothing. Any number of tasks.
  aio::Task<bool> Write(std::string text);

  // The result of `task`; empty, and the task is cancelled, when the client is gone first: closing its sending half is
  // not enough. `task` must report its failures by its result (see aio::WithDeadline).
  template <class T>
  aio::Task<std::optional<T>> UnlessGone(aio::Task<T> task) {
    using namespace boost::asio::experimental::awaitable_operators;
    auto first = co_await (std::move(task) || UntilGone());
    if (first.index() == 0) co_return std::get<0>(std::move(first));
    co_return std::nullopt;
  }

  // Says that we are done and drops what the client still sends, for `linger` at most: an answer on its way is not lost
  // then.
  aio::Task<> CloseGently(milliseconds linger);

  void Check(SteadyTime now) override;
  void EndIfIdle() override;

 private:
  aio::Task<> UntilGone();
  Result<Arrival> Receive();
  void Cancel();
  void Break();

  net::Socket socket_;
  net::IoThread& thread_;
  FileShare files_;
  const milliseconds write_timeout_;
  net::IoThread::Watch watch_;
  net::BufferPool::Buffer buffer_;
  std::size_t burst_ = 0;  // bytes read since the last wait
  SteadyTime read_deadline_ = SteadyTime::max();
  SteadyTime write_deadline_ = SteadyTime::max();
  bool read_timed_out_ = false;
  bool broken_ = false;
  bool idle_ = false;
  std::string unsent_;
  bool sending_ = false;
  boost::asio::steady_timer sent_;  // cancelled when unsent_ has become empty
};

}  // namespace lazaret::clamd
