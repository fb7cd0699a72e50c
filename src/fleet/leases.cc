#include "fleet/leases.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "base/exception.h"
#include "fleet/embedded_lua.h"

namespace lazaret::fleet {

Leases::Held::~Held() {
  if (stop_renewing_) stop_renewing_();
  if (armed_) leases_.tasks_.Spawn(leases_.Release(key_, token_));
}

void Leases::Held::KeepUp() { stop_renewing_ = leases_.tasks_.SpawnCancellable(leases_.Renew(key_, token_)); }

Leases::Leases(redis::Client& client, aio::Executor executor, milliseconds length, const Clock& clock, Log& log,
               std::string_view what)
    : client_(client),
      length_(length),
      clock_(clock),
      log_(log),
      what_(what),
      renew_(std::string(EmbeddedLua("lease_renew.lua"))),
      release_(std::string(EmbeddedLua("lease_release.lua"))),
      tasks_(std::move(executor), [&log, what = std::string(what)](std::exception_ptr error) {
        log.Error(what + " failed", {{"error", WhatOf(error)}});
      }) {}

std::unique_ptr<Leases::Held> Leases::Prepare(std::string key, std::string_view prefix) {
  std::string token = fmt::format("{}{:016x}{:016x}", prefix, random_(), random_());
  return std::make_unique<Held>(*this, std::move(key), std::move(token));
}

aio::Task<> Leases::Renew(std::string key, std::string token) {
  const std::vector<std::string> keys(1, std::move(key));
  const std::vector<std::string> arguments = {std::move(token), std::to_string(length_.count())};
  for (;;) {
    const SteadyTime next = clock_.SteadyNow() + length_ / 3;
    co_await aio::SleepUntil(next);
    const auto reply = co_await client_.Eval(renew_, keys, arguments,
                                             {.deadline = next + length_ / 3, .repeat = redis::Repeat::kAllowed});
    // Another node has it by now: what is done under it goes on, since half of it would be lost work.
    if (reply && reply->integer() == 0) {
      log_.Warning("a lease was lost: Redis did not hear of its renewal in time, or has forgotten it",
                   {{"lease", what_}, {"key", keys[0]}});
      co_return;
    }
  }
}

aio::Task<> Leases::Release(std::string key, std::string token) {
  std::vector<std::string> keys(1, std::move(key));
  std::vector<std::string> arguments(1, std::move(token));
  // What is not given up ends with its lease.
  co_await client_.Eval(release_, std::move(keys), std::move(arguments),
                        {.deadline = clock_.SteadyNow() + length_, .repeat = redis::Repeat::kAllowed});
}

aio::Task<> Leases::Stop(milliseconds patience) {
  tasks_.Close();
  const SteadyTime last = clock_.SteadyNow() + patience;
  while (tasks_.size() > 0 && clock_.SteadyNow() < last) co_await aio::SleepUntil(clock_.SteadyNow() + milliseconds(5));
  tasks_.CancelAll();
  co_await tasks_.Wait();
}

}  // namespace lazaret::fleet
