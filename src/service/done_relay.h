#pragma once

#include "aio/task.h"
#include "aio/task_group.h"
#include "base/digest.h"
#include "base/log.h"
#include "core/job_queue.h"
#include "service/done_board.h"

namespace lazaret {

// Tells a board of jobs that were finished on other servers.
class DoneRelay {
 public:
  // Everything must outlive the relay, which is to be stopped before its executor.
  DoneRelay(JobQueue& queue, DoneBoard& board, aio::Executor executor, Log& log);

  // A job was finished somewhere: looks up its verdict when anybody here waits for it. Executor only.
  void Hear(const Digest& id);
  aio::Task<> Stop();

 private:
  aio::Task<> Tell(Digest id);

  JobQueue& queue_;
  DoneBoard& board_;
  aio::TaskGroup tasks_;
};

}  // namespace lazaret
