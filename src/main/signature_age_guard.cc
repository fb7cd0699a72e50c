#include "main/signature_age_guard.h"

#include <utility>

#include "aio/deadline.h"
#include "base/exception.h"

namespace lazaret {
namespace {

constexpr seconds kLook{1};  // an engine is asked for a pointer

}  // namespace

SignatureAgeGuard::SignatureAgeGuard(const Engine& engine, AgeLimit limit, aio::Executor executor, const Clock& clock,
                                     Log& log)
    : engine_(engine),
      limit_(limit),
      clock_(clock),
      standing_(log, "signatures are too old", "signatures are not too old any more"),
      tasks_(std::move(executor), [&log](std::exception_ptr error) {
        log.Error("watching the age of the signatures failed", {{"error", WhatOf(error)}});
      }) {}

void SignatureAgeGuard::Start() {
  if (limit_.action != AgeAction::kIgnore) tasks_.Spawn(Watch());
}

aio::Task<> SignatureAgeGuard::Watch() {
  for (;;) {
    if (engine_.Current() != nullptr) {  // without one nothing is known
      if (const auto old = Find()) {
        standing_.Fails({Errc::kUnavailable, old->text});
      } else {
        standing_.Works();
      }
    }
    co_await aio::SleepUntil(clock_.SteadyNow() + kLook);
  }
}

aio::Task<> SignatureAgeGuard::Stop() {
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
}

}  // namespace lazaret
