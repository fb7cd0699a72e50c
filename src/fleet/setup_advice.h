#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "redis/client.h"

namespace lazaret::fleet {

// Something about how a Redis is set up that loses jobs sooner or later.
struct Advice {
  std::string why;
  std::string cure;

  friend bool operator==(const Advice&, const Advice&) = default;
};

// From what INFO says (sections memory and persistence); what it does not say is taken for well.
std::vector<Advice> AdviseOn(std::string_view info);

// Asks Redis once, as soon as it answers, how it is set up, and warns in the log. In a Cluster every master that holds
// a part of the queue is asked; each piece of advice is given once.
class SetupAdvice {
 public:
  // The references must outlive it.
  SetupAdvice(redis::Client& client, aio::Executor executor, std::uint32_t shards, const Clock& clock, Log& log);

  // Both on the executor.
  void Start();
  aio::Task<> Stop();

 private:
  aio::Task<> Run();

  redis::Client& client_;
  const std::uint32_t shards_;
  const Clock& clock_;
  Log& log_;
  aio::TaskGroup tasks_;
};

}  // namespace lazaret::fleet
