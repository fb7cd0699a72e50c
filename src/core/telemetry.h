#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "core/verdict.h"

namespace lazaret {

enum class CacheResult { kHit, kMiss, kStale, kError };
// Why a scanner process ended.
enum class ScannerEnd { kRecycled, kCrashed, kDeadline, kCancelled, kShutdown };
// What became of a job or of a submit.
enum class JobEvent { kQueued, kAttached, kDone, kDead, kRetried, kLost };
// What became of a change of the signatures.
enum class SignatureEvent { kLoaded, kRefused, kRolledBack, kDetectionsJumped };
enum class DeliveryEvent { kDelivered, kFailed, kGivenUp };

// Where the parts report what happens, to be counted. Every method is thread-safe and does not block; the base class
// ignores everything.
class Telemetry {
 public:
  virtual ~Telemetry() = default;
  // `route` is the pattern with static storage, such as "/v1/scans/{id}"; never what the client sent.
  virtual void OnRequest(std::string_view /*route*/, int /*status*/, std::chrono::duration<double> /*took*/) {}
  virtual void OnVerdict(VerdictKind, Reason, bool /*cached*/) {}
  virtual void OnCacheLookup(CacheResult) {}
  // An override answered, as if it were a verdict of this kind.
  virtual void OnOverridden(VerdictKind) {}
  // A verdict of earlier signatures answered while the content is scanned again; then, what that said.
  virtual void OnStaleServed() {}
  virtual void OnRescanned(VerdictKind) {}
  virtual void OnCacheWriteFailed() {}
  virtual void OnScan(std::chrono::duration<double> /*in_engine*/, std::uint64_t /*bytes*/) {}
  virtual void OnCoalesced() {}
  // A scan that was expected to be short was stopped, to be started again later.
  virtual void OnGaveWay() {}
  virtual void OnRefused(std::string_view /*static why*/) {}
  // From the first to the last byte of one upload.
  virtual void OnSpooled(std::chrono::duration<double> /*took*/, std::uint64_t /*bytes*/) {}
  virtual void OnScannerStarted() {}
  virtual void OnScannerEnded(ScannerEnd) {}
  virtual void OnZygoteRestarted() {}
  virtual void OnSignatures(SignatureEvent) {}
  virtual void OnJob(JobEvent) {}
  virtual void OnDelivery(DeliveryEvent) {}
};

}  // namespace lazaret
