#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/job.h"

namespace lazaret {

// One message to a callback that is due.
struct Delivery {
  std::uint64_t number;    // of this callback, for the methods below
  std::string message_id;  // "msg_...": the same at every attempt, so that the receiver can tell repetitions
  Digest id;               // of the content
  Callback callback;
  VerdictPtr verdict;
  std::uint32_t attempts;  // before this one
};

// The callbacks that are due, durable with the jobs that made them so (a transactional outbox). Delivered at least
// once. Any executor; resumes on the caller's. Errors as in JobQueue.
class Outbox {
 public:
  virtual ~Outbox() = default;

  // Makes a message due whose scan needed no job.
  virtual aio::Task<Result<void>> Add(Digest id, VerdictPtr verdict, Callback callback) = 0;

  // The next message that is due, for the caller alone during the next `lease`; after that it is due again. Tries at
  // once, then waits until `until`; empty then.
  virtual aio::Task<Result<std::optional<Delivery>>> TakeDue(milliseconds lease, SteadyTime until) = 0;

  // The three below answer kNotFound when there is no such message. It was delivered, or is given up: it is forgotten.
  virtual aio::Task<Result<void>> Close(std::uint64_t number) = 0;
  // The attempt failed: it is counted, and the message is due again after `pause`.
  virtual aio::Task<Result<void>> Postpone(std::uint64_t number, milliseconds pause) = 0;
  // It was not tried: due again after `pause`, nothing is counted.
  virtual aio::Task<Result<void>> Return(std::uint64_t number, milliseconds pause) = 0;

  virtual std::uint64_t waiting() const = 0;  // messages that are due or postponed; any thread
};

}  // namespace lazaret
