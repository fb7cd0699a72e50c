#pragma once

#include <optional>

#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/standing.h"
#include "core/engine.h"
#include "core/signature_age.h"

namespace lazaret {

// Watches how old the signatures in use are, whoever keeps them.
class SignatureAgeGuard {
 public:
  // The references must outlive it.
  SignatureAgeGuard(const Engine& engine, AgeLimit limit, aio::Executor executor, const Clock& clock, Log& log);

  // Empty while they are not too old, and while nothing is in use. Any thread.
  std::optional<OldSignatures> Find() const { return FindOldSignatures(engine_.Current(), limit_, clock_.Now()); }

  // From now on the log says when they become too old, and when they are no longer. Both on the executor.
  void Start();
  aio::Task<> Stop();

 private:
  aio::Task<> Watch();

  const Engine& engine_;
  const AgeLimit limit_;
  const Clock& clock_;
  Standing standing_;
  aio::TaskGroup tasks_;
};

}  // namespace lazaret
