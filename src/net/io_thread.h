#pragma once

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <list>
#include <string_view>

#include "aio/task.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/buffer_pool.h"
#include "net/poller.h"
#include "net/socket.h"

namespace lazaret::net {

// A connection's deadlines. Its thread looks through all of them a few times a second, which costs a busy connection
// nothing but storing a time.
class Deadlines {
 public:
  // Cancels what is too late.
  virtual void Check(SteadyTime now) = 0;
  // Ends the wait of a connection on which nothing is under way.
  virtual void EndIfIdle() = 0;

 protected:
  ~Deadlines() = default;
};

// What the connections of one I/O thread share; a front door derives from it what else they do, and how one of them is
// served. All of it belongs to that thread.
class IoThread {
 public:
  // `connection` names one in log lines, with static storage.
  IoThread(std::string_view connection, Log& log);
  virtual ~IoThread() = default;
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // One connection from its beginning to its end. `draining` may become true at any time: what is under way is
  // answered, then the connection ends.
  virtual aio::Task<> Serve(Socket socket, const std::atomic<bool>& draining) = 0;

  boost::asio::io_context& io() { return io_; }
  aio::TaskGroup& tasks() { return tasks_; }
  Poller& poller() { return poller_; }
  BufferPool& buffers() { return buffers_; }
  Log& log() { return log_; }
  std::string_view connection() const { return connection_; }

  // Looks through the deadlines until it is cancelled; one task of `tasks`.
  aio::Task<> Sweep();
  // Ends the waits of connections on which nothing is under way.
  void EndIdle();

  // Keeps deadlines under watch as long as it lives.
  class Watch {
   public:
    Watch(IoThread& thread, Deadlines& deadlines)
        : thread_(thread), entry_(thread.watched_.insert(thread.watched_.end(), &deadlines)) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { thread_.watched_.erase(entry_); }

   private:
    IoThread& thread_;
    const std::list<Deadlines*>::iterator entry_;
  };

 private:
  const std::string_view connection_;
  Log& log_;
  boost::asio::io_context io_{1};
  Poller poller_{io_};
  BufferPool buffers_;
  aio::TaskGroup tasks_;
  std::list<Deadlines*> watched_;
};

}  // namespace lazaret::net
