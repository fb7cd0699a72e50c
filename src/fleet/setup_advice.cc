#include "fleet/setup_advice.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "base/exception.h"
#include "redis/error_reply.h"

namespace lazaret::fleet {
namespace {

constexpr seconds kTimeout{5};
constexpr seconds kPause{1};

// The value of a line "name:value\r\n"; empty when there is none.
std::string_view FieldOf(std::string_view info, std::string_view name) {
  for (std::size_t at = 0; at < info.size();) {
    const std::size_t end = std::min(info.find('\n', at), info.size());
    std::string_view line = info.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(name) || line.substr(name.size(), 1) != ":") continue;
    line.remove_prefix(name.size() + 1);
    return line.substr(0, line.find('\r'));
  }
  return {};
}

}  // namespace

std::vector<Advice> AdviseOn(std::string_view info) {
  std::vector<Advice> advice;
  const std::string_view policy = FieldOf(info, "maxmemory_policy");
  const bool is_bounded = FieldOf(info, "maxmemory") != "0";
  if (policy.starts_with("allkeys-")) {
    advice.push_back(
        {fmt::format("when its memory is full it throws away jobs that were acknowledged (maxmemory-policy "
                     "{}{})",
                     policy, is_bounded ? "" : ", although there is no maxmemory yet"),
         "set maxmemory-policy to volatile-lru, which lets verdicts go first, or to noeviction"});
  }
  if (!is_bounded) {
    advice.push_back({"its memory has no bound (maxmemory 0): when that of the machine is full the kernel kills it",
                      "set maxmemory to two thirds of the machine's memory"});
  }
  if (FieldOf(info, "aof_enabled") == "0") {
    advice.push_back({"it keeps no log of what it acknowledges (appendonly no): jobs are lost when it restarts",
                      "set appendonly to yes, and appendfsync to always if a power cut must lose nothing"});
  }
  return advice;
}

SetupAdvice::SetupAdvice(redis::Client& client, aio::Executor executor, std::uint32_t shards, const Clock& clock,
                         Log& log)
    : client_(client),
      shards_(shards),
      clock_(clock),
      log_(log),
      tasks_(std::move(executor),
             [this](std::exception_ptr error) { log_.Error("looking at Redis failed", {{"error", WhatOf(error)}}); }) {}

void SetupAdvice::Start() { tasks_.Spawn(Run()); }

aio::Task<> SetupAdvice::Stop() {
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
}

aio::Task<> SetupAdvice::Run() {
  std::vector<Advice> given;
  for (std::uint32_t shard = 0; shard < shards_;) {
    auto reply = co_await client_.Call(fmt::format("lz:{{q{}}}:stat", shard), redis::Command{"INFO"},
                                       {.deadline = clock_.SteadyNow() + kTimeout, .repeat = redis::Repeat::kAllowed});
    if (!reply && redis::HasErrorWord(reply.error(), "NOPERM")) co_return;  // not ours to know
    if (!reply) {
      co_await aio::SleepUntil(clock_.SteadyNow() + kPause);
      continue;
    }
    for (Advice& one : AdviseOn(reply->text())) {
      if (std::ranges::find(given, one) != given.end()) continue;
      log_.Warning("Redis is not set up for a job queue", {{"why", one.why}, {"cure", one.cure}});
      given.push_back(std::move(one));
    }
    ++shard;
  }
}

}  // namespace lazaret::fleet
