#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "net/buffer_pool.h"
#include "net/io_thread.h"
#include "net/poller.h"

namespace lazaret::http {

// What a connection waits for has a deadline; its thread cancels what has passed.
class Deadline final : public net::Deadlines {
 public:
  explicit Deadline(net::PolledSocket& socket) : socket_(socket) {}

  void Set(SteadyTime at) { SetTo(at, false); }
  // The same for a connection that has nothing to do.
  void SetIdle(SteadyTime at) { SetTo(at, true); }
  void Clear() { SetTo(SteadyTime::max(), false); }
  bool passed() const { return passed_; }
  void Check(SteadyTime now) override;
  void EndIfIdle() override {
    if (!idle_) return;
    at_ = SteadyTime::min();
    Check(SteadyTime::max());
  }

 private:
  void SetTo(SteadyTime at, bool idle) {
    at_ = at;
    idle_ = idle;
    passed_ = false;
  }

  net::PolledSocket& socket_;
  SteadyTime at_ = SteadyTime::max();
  bool idle_ = false;
  bool passed_ = false;
};

// The receiving side of one connection.
class Input {
 public:
  Input(net::PolledSocket& socket, net::BufferPool& buffers, Deadline& deadline)
      : socket_(socket), buffers_(buffers), deadline_(deadline) {}
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // Bytes that have arrived and are not consumed; the view lives until the next call of anything else.
  std::string_view buffered() const;
  void Consume(std::size_t bytes);

  // Takes in up to `most` bytes of what has arrived; empty, with the buffer given back, when that is nothing.
  // kDisconnected at the end of the stream, kTooLarge when the buffer is full of unconsumed bytes.
  std::optional<Result<void>> MoreNow(std::size_t most = net::BufferPool::kBufferBytes);
  // Waits for something, without a buffer, and does what MoreNow does. kTimeout when the connection's deadline passed.
  aio::Task<Result<void>> More();
  // Whether there is something for MoreNow.
  bool HasArrived() { return socket_.LookForInput(); }
  // Waits, without a buffer, until there is something for MoreNow; kTimeout and kDisconnected as above.
  aio::Task<Result<void>> Arrival();
  // What the end of a wait for an event means: `waited` is what PolledSocket::Event returned. Errors as above.
  Result<void> AfterWait(bool waited) const;
  // Gives the buffer back and keeps what is in it elsewhere: call it before a long wait for something else.
  void Park();
  // The user whose process is at the other end of a Unix socket (SO_PEERCRED, unix(7)); empty for any other.
  std::optional<uid_t> PeerUser() const;
  // Returns when the client has closed the connection, or its sending half of it.
  aio::Task<> UntilClosed();

 private:
  void Unpark();
  void DropParked();

  net::PolledSocket& socket_;
  net::BufferPool& buffers_;
  Deadline& deadline_;
  net::BufferPool::Buffer buffer_;
  std::string parked_;     // what has arrived, while there is no buffer
  std::size_t begin_ = 0;  // of what is not consumed
  std::size_t end_ = 0;    // of what is in the buffer
};

}  // namespace lazaret::http
