#pragma once

#include "aio/task.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/standing.h"
#include "core/override_board.h"
#include "core/override_store.h"

namespace lazaret {

// Keeps the board of overrides up to date: hears about once a second what other servers have changed, and ends what is
// over. One executor.
class OverrideUpkeep {
 public:
  // Everything must outlive the upkeep, which is to be stopped before its executor.
  OverrideUpkeep(OverrideStore& store, OverrideBoard& board, aio::Executor executor, const Clock& clock, Log& log);

  // Once before the first request is taken: false when the store cannot be reached, and there are no overrides yet.
  aio::Task<bool> Begin() { return Tick(); }
  void Start();
  aio::Task<> Stop();

 private:
  aio::Task<bool> Tick();
  aio::Task<> Run();

  OverrideStore& store_;
  OverrideBoard& board_;
  const Clock& clock_;
  Standing standing_;
  aio::TaskGroup tasks_;
};

}  // namespace lazaret
