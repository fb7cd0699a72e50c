#include "clamav/signature_status.h"

#include <stdexcept>

namespace lazaret::clamav {

std::string_view ToString(RefusalKind kind) {
  switch (kind) {
    case RefusalKind::kEmpty: return "empty";
    case RefusalKind::kUnreadable: return "unreadable";
    case RefusalKind::kChanging: return "changing";
    case RefusalKind::kNoDisk: return "no-disk";
    case RefusalKind::kNoMemory: return "no-memory";
    case RefusalKind::kDoesNotLoad: return "does-not-load";
    case RefusalKind::kLoadErrors: return "load-errors";
    case RefusalKind::kEngineFailed: return "engine-failed";
    case RefusalKind::kCrashed: return "crashed";
    case RefusalKind::kTooSlow: return "too-slow";
    case RefusalKind::kMatchesClean: return "matches-clean";
    case RefusalKind::kMissesSample: return "misses-sample";
    case RefusalKind::kProbeFailed: return "probe-failed";
    case RefusalKind::kTooSmall: return "too-small";
    case RefusalKind::kNoTurn: return "no-turn";
    case RefusalKind::kRolledBack: return "rolled-back";
  }
  throw std::logic_error("a refusal of no kind");
}

bool IsPassing(RefusalKind kind) {
  switch (kind) {
    case RefusalKind::kUnreadable:
    case RefusalKind::kChanging:
    case RefusalKind::kNoDisk:
    case RefusalKind::kNoMemory:
    case RefusalKind::kNoTurn:
    case RefusalKind::kEngineFailed:
    case RefusalKind::kCrashed:
    case RefusalKind::kTooSlow:
    case RefusalKind::kProbeFailed: return true;
    case RefusalKind::kEmpty:
    case RefusalKind::kDoesNotLoad:
    case RefusalKind::kLoadErrors:
    case RefusalKind::kMatchesClean:
    case RefusalKind::kMissesSample:
    case RefusalKind::kTooSmall:
    case RefusalKind::kRolledBack: return false;
  }
  throw std::logic_error("a refusal of no kind");
}

std::string_view ToString(LoadPhase phase) {
  switch (phase) {
    case LoadPhase::kWaitingForTurn: return "waiting-for-turn";
    case LoadPhase::kSnapshot: return "snapshot";
    case LoadPhase::kDraining: return "draining";
    case LoadPhase::kLoading: return "loading";
    case LoadPhase::kVerifying: return "verifying";
    case LoadPhase::kProbing: return "probing";
  }
  throw std::logic_error("a phase of no kind");
}

}  // namespace lazaret::clamav
