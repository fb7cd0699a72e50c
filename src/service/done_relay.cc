#include "service/done_relay.h"

#include <utility>

#include "base/exception.h"

namespace lazaret {

DoneRelay::DoneRelay(JobQueue& queue, DoneBoard& board, aio::Executor executor, Log& log)
    : queue_(queue), board_(board), tasks_(std::move(executor), [&log](std::exception_ptr error) {
        log.Error("telling of a finished job failed", {{"error", WhatOf(error)}});
      }) {}

void DoneRelay::Hear(const Digest& id) {
  if (board_.IsAwaited(id)) tasks_.Spawn(Tell(id));
}

aio::Task<> DoneRelay::Tell(Digest id) {
  const auto job = co_await queue_.Find(id);
  // Whoever waits looks again by himself when this fails.
  if (job && *job && (*job)->IsFinished()) board_.Announce(id, (*job)->verdict);
}

aio::Task<> DoneRelay::Stop() {
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
}

}  // namespace lazaret
