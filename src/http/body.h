#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "aio/task.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/result.h"
#include "http/input.h"
#include "net/poller.h"
#include "wire/chunked.h"
#include "wire/http_head.h"

namespace lazaret::http {

struct BodyTimes {
  milliseconds stall;              // without one byte
  milliseconds grace;              // before the rate is looked at
  std::uint64_t bytes_per_second;  // at least, averaged since the beginning; 0: any
};

// The body of one request as its bytes arrive, with the transfer coding taken off.
class Body {
 public:
  Body(const wire::RequestHead& head, net::PolledSocket& socket, Input& input, Deadline& deadline,
       const BodyTimes& times);

  // What Content-Length says; empty for a chunked body.
  std::optional<std::uint64_t> length() const;
  bool is_complete() const { return complete_; }
  // All of the body when it has a length and has arrived; nothing is read by that.
  std::optional<Bytes> Arrived() const;
  // Takes in, without waiting, what has arrived of a body that has a length of at most `most` bytes.
  void TakeInNow(std::uint64_t most);
  // The client waits for 100 (Continue) and has not been told yet: it may never send the body.
  bool is_withheld() const { return !started_ && expects_continue_; }

  // The next bytes, valid until the next call; empty at the end. The first call tells a waiting client to continue.
  // kDisconnected when the client left, kTimeout when it was too slow, kMalformed when the coding is broken: the
  // connection cannot be used any more then.
  aio::Task<Result<Bytes>> Read();
  // Read without waiting, and without a coroutine: empty, with nothing done, when Read would wait.
  std::optional<Result<Bytes>> ReadNow();

  // What has arrived, without waiting; empty when that is nothing of the body yet. After ReadNow was empty.
  std::optional<Result<Bytes>> ReadArrived();
  // Whether there is something for ReadArrived, for who needs something else before the bytes may come in.
  bool HasArrived() { return input_.HasArrived(); }
  // Waits, without a read buffer, until there is something for ReadArrived, when there was nothing. Errors as of Read.
  aio::Task<Result<void>> Arrival();

  // Takes time that the server spent otherwise out of the client's rate.
  void Excuse(SteadyTime::duration time) {
    if (start_) *start_ += time;
  }
  // Lets go of the bytes of the last Read and of the read buffer: before a long wait for something else.
  void Release();

  // Whether what is left is known to come, and to be no more than `most` bytes, as far as that can be known now.
  bool CanSkip(std::uint64_t most) const;
  // Reads and drops what is left when that is at most `most` bytes; false when the connection has to be closed.
  aio::Task<bool> Skip(std::uint64_t most);
  // Drops what was read; false when that was not all.
  bool SkipNow();

 private:
  aio::Task<Result<void>> TellToContinue();
  SteadyTime SlowestTime();

  const wire::BodyFraming framing_;
  const bool expects_continue_;
  net::PolledSocket& socket_;
  Input& input_;
  Deadline& deadline_;
  const BodyTimes& times_;
  wire::ChunkedDecoder chunked_;
  const std::uint64_t length_;
  std::uint64_t left_;          // of a body with a length
  std::size_t unconsumed_ = 0;  // bytes that the caller of Read still looks at
  std::uint64_t received_ = 0;
  std::optional<SteadyTime> start_;  // of the client's rate: when the server first had to wait
  bool started_ = false;
  bool complete_;
};

}  // namespace lazaret::http
