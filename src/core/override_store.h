#pragma once

#include "aio/task.h"
#include "base/result.h"
#include "core/override.h"

namespace lazaret {

// Where overrides are kept. What it knows stands on the OverrideBoard that it was made with, also while it cannot be
// reached. Any executor; resumes on the caller's. kUnavailable when it cannot be reached, read or written; kOverloaded
// when its disk or memory is full.
class OverrideStore {
 public:
  virtual ~OverrideStore() = default;

  // Durable, and in force on this server, when it returns; replaces one of the same content. kTooLarge when there are
  // as many as there may be. After any other error it may be in force all the same: repeating it is right.
  virtual aio::Task<Result<void>> Put(Override entry) = 0;
  // kNotFound when there is none of this content.
  virtual aio::Task<Result<void>> Remove(Digest id) = 0;
  // Hears what other servers have changed; to be called about once a second.
  virtual aio::Task<Result<void>> Refresh() = 0;
};

}  // namespace lazaret
