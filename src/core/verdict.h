#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/result.h"

namespace lazaret {

// One official signature database, for people.
struct DatabaseVersion {
  std::string name;  // "daily", "main", "bytecode"
  std::uint32_t version;
  WallTime built_at;
};

// Everything about an engine that can change a verdict, and how it is shown to people.
struct EngineInfo {
  Digest signature_set;              // over every database file's name and content
  Digest profile;                    // over all else that can change a verdict: version, limits, options, undated sets
  std::string name;                  // "ClamAV"
  std::string version;               // "1.4.6"
  std::string signature_label;       // "daily 28129, main 63, 3d1f0a2b"
  std::optional<WallTime> built_at;  // of the newest database; empty when the databases do not say
  std::uint64_t signatures = 0;
  bool test_set = false;  // the built-in EICAR set: not fit for use

  // Of the engine that runs now, not kept by stores.
  std::vector<DatabaseVersion> databases;
  std::optional<WallTime> files_at = std::nullopt;   // when its newest signature file was written; empty when not known
  std::optional<WallTime> loaded_at = std::nullopt;  // since when it is in use; empty when not known
  std::vector<std::string> isolation;                // what the scanners are confined by: "seccomp", "landlock", ...
  std::string version_line;  // the engine's own words for its version and signatures; empty when it has none

  // A verdict of `*this` answers for `other`.
  bool SameIdentity(const EngineInfo& other) const {
    return signature_set == other.signature_set && profile == other.profile;
  }
};
using EngineInfoPtr = std::shared_ptr<const EngineInfo>;

enum class VerdictKind : std::uint8_t { kClean = 1, kInfected = 2, kUnscannable = 3 };

// Why a content is unscannable. The numbers are stored: never reuse one.
enum class Reason : std::uint8_t {
  kNone = 0,
  kEncrypted = 1,
  kLimitExceeded = 2,
  kTimeout = 3,
  kUnsupported = 4,
  kTemporarySpace = 5,
  kEngineError = 6,
  kEngineCrashed = 7,
  kContentLost = 8,  // it was damaged or lost while it waited: nothing was scanned
  kOverridden = 9,   // an override answered for it when its turn came: nothing was scanned
};

std::string_view ToString(VerdictKind kind);  // "clean", "infected", "unscannable"
std::string_view ToString(Reason reason);     // "encrypted", "limit-exceeded", ...; "" for kNone

// The facts of one finished scan, whatever it found.
struct ScanRecord {
  EngineInfoPtr engine;  // never null
  std::uint64_t size;    // of the content, bytes
  WallTime scanned_at;
  double scan_ms;  // time in the engine
};

// What an engine found out about one content. Immutable. There is no default verdict: each kind is made by its own
// function from the record of a scan that ended, so that no error or time-out can turn into `clean`.
class Verdict {
 public:
  // Only for an engine that inspected the whole content and found nothing.
  static Verdict Clean(ScanRecord record);
  // `signatures` must not be empty.
  static Verdict Infected(ScanRecord record, std::vector<std::string> signatures);
  // `detail` is for people; `reason` must not be kNone.
  static Verdict Unscannable(ScanRecord record, Reason reason, std::string detail);
  // For stores: kCorrupt when the parts do not make one of the three above.
  static Result<Verdict> Restore(ScanRecord record, VerdictKind kind, Reason reason,
                                 std::vector<std::string> signatures, std::string detail);

  VerdictKind kind() const { return kind_; }
  Reason reason() const { return reason_; }
  const std::vector<std::string>& signatures() const { return signatures_; }
  const std::string& detail() const { return detail_; }
  const ScanRecord& record() const { return record_; }

  // A passing verdict says more about the moment than about the content: it is remembered only briefly.
  bool IsPassing() const;

 private:
  Verdict(ScanRecord record, VerdictKind kind, Reason reason, std::vector<std::string> signatures, std::string detail);

  ScanRecord record_;
  VerdictKind kind_;
  Reason reason_;
  std::vector<std::string> signatures_;
  std::string detail_;
};
// Shared by the cache and every request that waits for the same content.
using VerdictPtr = std::shared_ptr<const Verdict>;

}  // namespace lazaret
