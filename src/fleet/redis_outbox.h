#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "aio/task.h"
#include "aio/task_group.h"
#include "core/outbox.h"
#include "fleet/claim.h"
#include "fleet/shard_calls.h"
#include "fleet/shard_taker.h"
#include "fleet/shard_watch.h"

namespace lazaret::fleet {

// The callbacks that are due. A message lives on the shard of its content; its number says which that is.
class RedisOutbox final : public Outbox {
 public:
  // `endings` does what is to be done even while the queue is being stopped. The references must outlive it; it
  // outlives its tasks.
  RedisOutbox(ShardCalls& calls, aio::TaskGroup& tasks, aio::TaskGroup& endings, const Clock& clock, Log& log);

  aio::Task<Result<void>> Add(Digest id, VerdictPtr verdict, Callback callback) override;
  // May be cancelled at any time: a message that was taken for it is due again, uncounted.
  aio::Task<Result<std::optional<Delivery>>> TakeDue(milliseconds lease, SteadyTime until) override;
  aio::Task<Result<void>> Close(std::uint64_t number) override;
  aio::Task<Result<void>> Postpone(std::uint64_t number, milliseconds pause) override;
  aio::Task<Result<void>> Return(std::uint64_t number, milliseconds pause) override;
  std::uint64_t waiting() const override;

 private:
  using Held = Claim<Delivery>;

  ShardWatch::Parts WatchParts(aio::TaskGroup& tasks);
  aio::Task<Result<std::optional<Held>>> TryTake(std::uint32_t shard, milliseconds lease);
  aio::Task<> ReturnLater(std::uint64_t number);
  aio::Task<Result<void>> End(std::uint64_t number, std::string what, milliseconds pause);

  ShardCalls& calls_;
  aio::TaskGroup& endings_;
  const Clock& clock_;
  Log& log_;
  ShardWatch watch_;
  ShardTaker<Held, milliseconds> taker_;
};

}  // namespace lazaret::fleet
