#include "service/override_upkeep.h"

#include <utility>

#include "aio/deadline.h"
#include "base/exception.h"

namespace lazaret {
namespace {

constexpr milliseconds kInterval{1000};

}  // namespace

OverrideUpkeep::OverrideUpkeep(OverrideStore& store, OverrideBoard& board, aio::Executor executor, const Clock& clock,
                               Log& log)
    : store_(store),
      board_(board),
      clock_(clock),
      standing_(log, "overrides are those that were known last: others cannot be heard", "overrides are heard again"),
      tasks_(std::move(executor), [&log](std::exception_ptr error) {
        log.Error("upkeep of overrides failed", {{"error", WhatOf(error)}});
      }) {}

aio::Task<bool> OverrideUpkeep::Tick() {
  const auto heard = co_await store_.Refresh();
  if (heard) {
    standing_.Works();
  } else {
    standing_.Fails(heard.error());
  }
  board_.DropExpired();
  co_return heard.has_value();
}

void OverrideUpkeep::Start() { tasks_.Spawn(Run()); }

aio::Task<> OverrideUpkeep::Run() {
  for (;;) {
    const SteadyTime next = clock_.SteadyNow() + kInterval;
    co_await Tick();
    co_await aio::SleepUntil(next);
  }
}

aio::Task<> OverrideUpkeep::Stop() {
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
}

}  // namespace lazaret
