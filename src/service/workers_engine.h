#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "aio/task.h"
#include "base/clock.h"
#include "core/engine.h"
#include "core/job_queue.h"
#include "service/done_board.h"

namespace lazaret {

// The engine of a server that scans nothing itself: hands each content to the job queue and waits until a worker, on
// whatever server, has judged it. A job that nobody waits for any more is judged all the same, and its verdict kept.
class WorkersEngine final : public Engine {
 public:
  // What the workers scan with now, the newest of them; null while there is none. Any thread.
  using NewestEngine = std::function<EngineInfoPtr()>;

  // Waits for at most `slots` jobs at once. `board` hears of every job that is finished, wherever that is. Everything
  // must outlive the engine.
  WorkersEngine(JobQueue& queue, DoneBoard& board, NewestEngine newest, std::size_t slots, const Clock& clock);

  EngineInfoPtr Current() const override { return newest_(); }
  std::string NotReadyReason() const override { return "no worker shares this server's Redis"; }
  std::size_t Slots() const override { return slots_; }
  bool EndsCancelledScans() const override { return false; }
  // kTimeout when no worker was done by `deadline`; errors of the queue as they are.
  aio::Task<Result<Verdict>> Scan(ContentPtr content, SteadyTime deadline) override;

 private:
  // Whether what was heard of a job answers for it without a look at the job.
  bool IsAnswer(const Verdict& verdict) const;

  JobQueue& queue_;
  DoneBoard& board_;
  const NewestEngine newest_;
  const std::size_t slots_;
  const Clock& clock_;
};

}  // namespace lazaret
