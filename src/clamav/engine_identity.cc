#include "clamav/engine_identity.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace lazaret::clamav {
namespace {

// Raise it when the scanner's options or its rules for clean, infected and unscannable change: every verdict that
// was made by the old rules becomes stale.
constexpr int kVerdictRules = 2;

std::string Label(const SignatureSnapshot& snapshot, const wire::Ready& ready) {
  const std::string digest = snapshot.digest.Hex().substr(0, 8);
  if (snapshot.test_set) return fmt::format("built-in EICAR test set, NOT FOR PRODUCTION, {}", digest);
  std::string label;
  for (const wire::DatabaseInfo& database : ready.databases) {
    label += fmt::format("{} {}, ", database.name, database.version);
  }
  return label + digest;
}

// What the build time of the daily database, the only one that changes from day to day, says nothing about: sets that
// differ in it must not be compared by age (core/freshness.h).
std::string BesidesDaily(const SignatureSnapshot& snapshot, const wire::Ready& ready) {
  std::string text;
  for (const wire::DatabaseInfo& database : ready.databases) {
    if (database.name != "daily") text += fmt::format("database {} {}\n", database.name, database.version);
  }
  if (snapshot.files != ready.databases.size()) text += fmt::format("undated {}\n", snapshot.digest.Hex());
  return text;
}

}  // namespace

EngineInfo DescribeEngine(const SignatureSnapshot& snapshot, const wire::LoadRequest& limits,
                          const wire::Ready& ready) {
  const std::string profile =
      fmt::format(
          "lazaret engine profile\nrules {}\nlibclamav {} {}\nfeatures {}\nfile {}\nscan {}\nrecursion {}\nfiles {}\n"
          "temporary {}\nmemory {}\npua {}\n",
          kVerdictRules, ready.engine_version, ready.functionality_level, fmt::join(ready.features, " "),
          limits.max_file_bytes, limits.max_scan_bytes, limits.max_recursion, limits.max_files, limits.temp_bytes,
          limits.memory_bytes, limits.detect_pua) +
      BesidesDaily(snapshot, ready);
  EngineInfo info{.signature_set = snapshot.digest,
                  .profile = Sha256::Of(AsBytes(profile)),
                  .name = "ClamAV",
                  .version = ready.engine_version,
                  .signature_label = Label(snapshot, ready),
                  .built_at = {},
                  .signatures = ready.signatures,
                  .test_set = snapshot.test_set,
                  .databases = {},
                  .isolation = ready.sandbox};
  for (const wire::DatabaseInfo& database : ready.databases) {
    const WallTime built_at{seconds(database.built_at)};
    info.databases.push_back({database.name, database.version, built_at});
    info.built_at = std::max(info.built_at.value_or(built_at), built_at);
  }
  return info;
}

EngineInfo GoneBackFrom(const Digest& left, EngineInfo engine) {
  engine.profile = Sha256::Of(AsBytes(fmt::format("{} gone back from {}\n", engine.profile.Hex(), left.Hex())));
  return engine;
}

}  // namespace lazaret::clamav
