#pragma once

#include <boost/asio/io_context.hpp>

#include <array>
#include <cstddef>
#include <list>
#include <memory>
#include <vector>

#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"

namespace lazaret::clamd {

class Channel;

// What the connections of one I/O thread share. All of it belongs to that thread.
class IoThread {
 public:
  static constexpr std::size_t kBufferBytes = 64 * 1024;
  using Buffer = std::unique_ptr<std::array<std::byte, kBufferBytes>>;

  explicit IoThread(Log& log);

  boost::asio::io_context& io() { return io_; }
  aio::TaskGroup& tasks() { return tasks_; }
  Log& log() { return log_; }

  // Read buffers: a connection holds one only while there are bytes in it.
  Buffer TakeBuffer();
  void GiveBuffer(Buffer buffer);

  // Looks through the deadlines of all channels a few times a second, until it is cancelled; one task of `tasks`.
  aio::Task<> Sweep();
  // Ends the waits of channels on which nothing is under way.
  void EndIdle();

 private:
  friend class Channel;  // registers itself

  Log& log_;
  boost::asio::io_context io_{1};
  std::vector<Buffer> buffers_;
  aio::TaskGroup tasks_;
  std::list<Channel*> channels_;
};

}  // namespace lazaret::clamd
