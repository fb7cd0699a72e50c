#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>

#include <filesystem>
#include <memory>

#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"

namespace lazaret::clamav {

// Notices that something in a directory has been made, removed, replaced, written into or given another mode
// (inotify(7)), also when the directory itself is removed, replaced or made only later. It knows nothing of which files
// matter and misses what happens behind a symbolic link, on a network file system or deep below a parent that is not
// there either: look at the directory now and then all the same. One executor.
class SignatureWatch {
 public:
  // Without inotify, or without room for another watch, it says so in the log and never notices anything.
  SignatureWatch(std::filesystem::path directory, const aio::Executor& executor, Log& log);
  ~SignatureWatch();
  SignatureWatch(const SignatureWatch&) = delete;
  SignatureWatch& operator=(const SignatureWatch&) = delete;

  // Returns when there was a change, since the last call or from now on; or when cancelled.
  aio::Task<> WaitForChange();
  // Returns when there has been no change for `settle`, or at `deadline`.
  aio::Task<> WaitUntilSettled(milliseconds settle, SteadyTime deadline);

 private:
  // Watches the directory that is there now, and its parent. True when it is another one than before.
  bool Arm();
  // Takes the events that are there; whether any is a change.
  bool Drain();

  const std::filesystem::path directory_;
  Log& log_;
  std::unique_ptr<boost::asio::posix::stream_descriptor> inotify_;
  int directory_watch_ = -1;
  int parent_watch_ = -1;
};

}  // namespace lazaret::clamav
