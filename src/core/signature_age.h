#pragma once

#include <optional>
#include <string>

#include "core/verdict.h"

namespace lazaret {

// What is done about signatures that are older than they may be.
enum class AgeAction { kIgnore, kWarn, kFail };

struct AgeLimit {
  AgeAction action = AgeAction::kIgnore;
  milliseconds most = std::chrono::days(7);
};

// When the signatures were made: the build time of the newest database, or, where none says it, the time of the newest
// file. Empty for the built-in test set, and when nobody knows.
std::optional<WallTime> DateOf(const EngineInfo& engine);

// Since that date; never negative.
std::optional<milliseconds> AgeOf(const EngineInfo& engine, WallTime now);

// Signatures that are older than they may be.
struct OldSignatures {
  bool fails;        // the server counts as not ready
  std::string text;  // for people
};

// Empty while `engine` is null or its age is not more than the limit.
std::optional<OldSignatures> FindOldSignatures(const EngineInfoPtr& engine, const AgeLimit& limit, WallTime now);

}  // namespace lazaret
