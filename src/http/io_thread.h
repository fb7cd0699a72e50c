#pragma once

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstddef>
#include <list>
#include <string>
#include <string_view>

#include "aio/task_group.h"
#include "base/log.h"
#include "http/input.h"

namespace lazaret::http {

// What the connections of one I/O thread share. All of it belongs to that thread but for what says otherwise.
class IoThread {
 public:
  explicit IoThread(Log& log);

  boost::asio::io_context& io() { return io_; }
  BufferPool& buffers() { return buffers_; }
  aio::TaskGroup& tasks() { return tasks_; }
  // The time as an IMF-fixdate (RFC 9110 5.6.7), at most a second old.
  std::string_view date() const { return date_; }

  // Looks through the deadlines until it is cancelled; one task of `tasks`.
  aio::Task<> Sweep();

  // Ends the waits of connections between two requests.
  void WakeIdle();

  // Keeps a deadline under watch as long as it lives.
  class Watch {
   public:
    Watch(IoThread& thread, Deadline& deadline)
        : thread_(thread), entry_(thread.deadlines_.insert(thread.deadlines_.end(), &deadline)) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { thread_.deadlines_.erase(entry_); }

   private:
    IoThread& thread_;
    std::list<Deadline*>::iterator entry_;
  };

 private:
  void UpdateDate();

  boost::asio::io_context io_{1};
  BufferPool buffers_;
  aio::TaskGroup tasks_;
  std::list<Deadline*> deadlines_;
  std::string date_;
};

}  // namespace lazaret::http
