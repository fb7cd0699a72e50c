#pragma once

#include <memory>

#include "aio/task.h"
#include "base/result.h"
#include "core/verdict.h"

namespace lazaret {

// This node's right to scan one content while the other nodes wait for its verdict. Destroying it gives the right up,
// in the background; so does the end of this process, after a while.
class ScanClaim {
 public:
  virtual ~ScanClaim() = default;
};

// Which node scans a content now, so that nodes that share a verdict cache scan the same content once.
class ScanClaims {
 public:
  struct Answer {
    std::unique_ptr<ScanClaim> claim;  // null: another node scans it
    VerdictPtr verdict;                // what the shared cache has, stale or fresh; null: nothing
  };

  virtual ~ScanClaims() = default;

  // Claims the scan of `digest` with `engine`, unless another node that scans with the same one has: store the verdict
  // before the claim goes. Never waits for another node. On the executor that scans run on; so are claims destroyed.
  // kUnavailable, kOverloaded or kCorrupt, soon, when nobody can say: scan without a claim then.
  virtual aio::Task<Result<Answer>> Ask(Digest digest, EngineInfoPtr engine) = 0;
};

}  // namespace lazaret
