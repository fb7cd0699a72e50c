#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "core/verdict.h"

namespace lazaret::clamav {

// Why a signature set is not used. The words of ToString are stable: they stand in metrics and in answers.
enum class RefusalKind {
  kEmpty,         // the directory is gone or holds no signatures
  kUnreadable,    // its files cannot be read
  kChanging,      // its files were changed again and again while they were read
  kNoDisk,        // no room for the snapshot
  kNoMemory,      // no room for the signatures
  kDoesNotLoad,   // libclamav refuses them
  kLoadErrors,    // libclamav complains of what it did not complain of in the set in use
  kEngineFailed,  // the process that loads them could not be made ready
  kCrashed,       // it died
  kTooSlow,       // it did not end in time
  kMatchesClean,  // something known to be clean is detected
  kMissesSample,  // something that must be detected is not
  kProbeFailed,   // the probe could not be made
  kTooSmall,      // far fewer signatures than in the set in use
  kNoTurn,        // other nodes were to go first, or could not be asked
  kRolledBack,    // it was in use, and was gone back from
};
std::string_view ToString(RefusalKind kind);  // "does-not-load", ...
// It may be over soon, without a change of the directory.
bool IsPassing(RefusalKind kind);

struct Refusal {
  RefusalKind kind;
  std::string reason;  // for people
};

// What people are told about one set. What is not known is empty.
struct SetSummary {
  Digest digest;
  std::string label;  // "daily 28129, main 63, 3d1f0a2b"
  std::uint64_t signatures = 0;
  std::optional<WallTime> built_at = std::nullopt;  // of the newest database
  WallTime loaded_at{};
  std::optional<WallTime> files_at = std::nullopt;  // when its newest file was written
  std::vector<DatabaseVersion> databases = {};      // that say of themselves what they are; not known of a kept set
};

enum class LoadPhase { kWaitingForTurn, kSnapshot, kDraining, kLoading, kVerifying, kProbing };
std::string_view ToString(LoadPhase phase);  // "waiting-for-turn", ...

struct CandidateStatus {
  std::optional<Digest> digest;  // once its snapshot is taken
  LoadPhase phase;
  WallTime since;  // of the whole change
  WallTime phase_since;
  std::optional<milliseconds> expected = std::nullopt;  // how long kLoading took the last time
  std::string waits_for = {};                           // in kWaitingForTurn: the node whose turn it is, if known
};

struct RefusedSet {
  std::optional<Digest> digest;  // empty when there was not even a snapshot
  Refusal why;
  WallTime at;
  std::optional<WallTime> retry_at = std::nullopt;  // without a change of the directory
};

// The set that was gone back from: it stays unused until the directory holds another one.
struct SignaturePin {
  Digest refused;
  std::string label;
  std::string reason;
  WallTime since;
};

struct DetectionJump {
  Digest digest;  // of the set whose detections jumped
  std::uint64_t scans_before, detections_before, scans_after, detections_after;
  WallTime at;
  bool rolled_back;
};

// Where the signatures of this server stand.
struct SignatureStatus {
  std::string directory;  // that is watched; empty for the built-in test set
  EngineInfoPtr engine;   // null while nothing is in use
  std::optional<SetSummary> current;
  std::vector<std::string> load_errors;  // libclamav's, of the set in use
  std::optional<SetSummary> previous;    // kept: what a rollback goes back to
  std::optional<CandidateStatus> candidate;
  std::optional<RefusedSet> last_refusal;
  std::optional<SignaturePin> pin;
  std::optional<DetectionJump> last_jump;
  std::optional<WallTime> looked_at;  // when the directory was last looked at
  std::string last_mode;              // "beside" or "drain": how the set in use was loaded; "start" for the first one
};

}  // namespace lazaret::clamav
