#include "core/verdict.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace lazaret {

std::string_view ToString(VerdictKind kind) {
  switch (kind) {
    case VerdictKind::kClean: return "clean";
    case VerdictKind::kInfected: return "infected";
    case VerdictKind::kUnscannable: return "unscannable";
  }
  throw std::logic_error("verdict of no kind");
}

std::string_view ToString(Reason reason) {
  switch (reason) {
    case Reason::kNone: return "";
    case Reason::kEncrypted: return "encrypted";
    case Reason::kLimitExceeded: return "limit-exceeded";
    case Reason::kTimeout: return "timeout";
    case Reason::kUnsupported: return "unsupported";
    case Reason::kTemporarySpace: return "temporary-space";
    case Reason::kEngineError: return "engine-error";
    case Reason::kEngineCrashed: return "engine-crashed";
    case Reason::kContentLost: return "content-lost";
    case Reason::kOverridden: return "overridden";
  }
  throw std::logic_error("reason of no kind");
}

Verdict::Verdict(ScanRecord record, VerdictKind kind, Reason reason, std::vector<std::string> signatures,
                 std::string detail)
    : record_(std::move(record)),
      kind_(kind),
      reason_(reason),
      signatures_(std::move(signatures)),
      detail_(std::move(detail)) {
  if (record_.engine == nullptr) throw std::logic_error("verdict without an engine");
}

Verdict Verdict::Clean(ScanRecord record) {
  return Verdict(std::move(record), VerdictKind::kClean, Reason::kNone, {}, {});
}

Verdict Verdict::Infected(ScanRecord record, std::vector<std::string> signatures) {
  if (signatures.empty()) throw std::logic_error("infected without a signature");
  return Verdict(std::move(record), VerdictKind::kInfected, Reason::kNone, std::move(signatures), {});
}

Verdict Verdict::Unscannable(ScanRecord record, Reason reason, std::string detail) {
  if (reason == Reason::kNone) throw std::logic_error("unscannable without a reason");
  return Verdict(std::move(record), VerdictKind::kUnscannable, reason, {}, std::move(detail));
}

Result<Verdict> Verdict::Restore(ScanRecord record, VerdictKind kind, Reason reason,
                                 std::vector<std::string> signatures, std::string detail) {
  const bool has_reason = reason != Reason::kNone;
  if (reason > Reason::kOverridden) return Fail(Errc::kCorrupt, "stored verdict has an unknown reason");
  if (record.engine == nullptr) return Fail(Errc::kCorrupt, "stored verdict has no engine");
  switch (kind) {
    case VerdictKind::kClean:
      if (has_reason || !signatures.empty()) break;
      return Clean(std::move(record));
    case VerdictKind::kInfected:
      if (has_reason || signatures.empty()) break;
      return Infected(std::move(record), std::move(signatures));
    case VerdictKind::kUnscannable:
      if (!has_reason || !signatures.empty()) break;
      return Unscannable(std::move(record), reason, std::move(detail));
  }
  return Fail(Errc::kCorrupt, "stored verdict contradicts itself");
}

bool Verdict::IsPassing() const {
  switch (reason_) {
    case Reason::kTimeout:
    case Reason::kTemporarySpace:
    case Reason::kEngineError:
    case Reason::kEngineCrashed:
    case Reason::kContentLost:
    case Reason::kOverridden: return true;
    case Reason::kNone:
    case Reason::kEncrypted:
    case Reason::kLimitExceeded:
    case Reason::kUnsupported: return false;
  }
  return true;
}

}  // namespace lazaret
