#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/digest.h"
#include "core/verdict.h"

namespace lazaret {

// The life of a job. The numbers are stored: never reuse one.
enum class JobState : std::uint8_t {
  kQueued = 1,
  kLeased = 2,  // a worker has it
  kDone = 3,
  kDead = 4,  // a dead letter: it failed for good, and is kept with its reason
};
std::string_view ToString(JobState state);  // "queued", "scanning", "done", "dead"

// Whom to tell that a scan has finished.
struct Callback {
  std::string url;
  std::string name;  // what this client calls the content; may be empty

  friend bool operator==(const Callback&, const Callback&) = default;
};

// One durable request to scan one content, as people and the service see it.
struct Job {
  Digest id;  // of the content: the same content has one job
  JobState state;
  std::uint64_t size;      // of the content, bytes
  WallTime submitted_at;   // when it was queued; submits that attach to it do not change that
  std::uint32_t attempts;  // scans that ended without a verdict to keep
  std::uint32_t lost;      // leases whose holder vanished
  std::string note;        // why the last attempt failed, for people; may be empty
  bool has_content;        // it is kept still: until the job is done, and with a dead letter while there is room
  std::optional<WallTime> finished_at;  // exactly when it is kDone or kDead
  VerdictPtr verdict;                   // likewise; of a dead letter it is `unscannable`

  bool IsFinished() const { return state == JobState::kDone || state == JobState::kDead; }
};

}  // namespace lazaret
