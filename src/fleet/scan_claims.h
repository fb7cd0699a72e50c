#pragma once

#include "base/log.h"
#include "core/scan_claims.h"
#include "fleet/leases.h"
#include "redis/client.h"

namespace lazaret::fleet {

// Claims in Redis: a key for each content and engine that lives as long as its lease, by Redis's clock, and is renewed
// at thirds of it. A node that dies loses its claims within `lease`.
class RedisScanClaims final : public ScanClaims {
 public:
  struct Settings {
    milliseconds lease{5000};
    milliseconds timeout{250};  // of a question: a slot of the engine waits for the answer
    milliseconds rest{1000};    // after a question that Redis did not answer, nothing is asked
  };

  // `executor` is the one that scans run on; everything here does. The references must outlive the claims.
  RedisScanClaims(redis::Client& client, aio::Executor executor, Settings settings, const Clock& clock, Log& log);

  // One round trip.
  aio::Task<Result<Answer>> Ask(Digest digest, EngineInfoPtr engine) override;

  // When all claims have been destroyed: waits until they have been given up in Redis, but not for long.
  aio::Task<> Stop();

 private:
  class Held;

  redis::Client& client_;
  const Settings settings_;
  const Clock& clock_;
  const redis::Script claim_;
  Leases leases_;
  SteadyTime rests_until_ = SteadyTime::min();
};

}  // namespace lazaret::fleet
