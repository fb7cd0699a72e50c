#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/verdict.h"
#include "embedded/sqlite.h"

namespace lazaret::embedded {

// An engine as table `engines` knows it. `identity` is the SHA-256 over all its fields.
struct StoredEngine {
  std::int64_t id;
  Digest identity;
  EngineInfoPtr info;
};

Digest IdentityOf(const EngineInfo& info, Sha256& hasher);

// The columns of table `verdicts` beside the digest.
struct VerdictRow {
  std::int64_t kind;
  std::int64_t reason;
  std::string signatures;  // netstrings: "<length>:<name>,", so that a name may hold any byte
  std::string detail;
  std::int64_t size;
  std::int64_t scanned_at;  // ms since 1970
  double scan_ms;
  std::int64_t engine_id;
  std::int64_t expires_at;  // ms since 1970
  std::int64_t last_used;   // hours since 1970

  // The first bytes of the SHA-256 over the digest, these columns and the engine's: column `check`. A flipped bit or an
  // edited row does not match it.
  std::array<std::byte, 8> Check(const Digest& digest, const Digest& engine_identity, Sha256& hasher) const;
};

inline std::int64_t HourOf(WallTime time) {
  return std::chrono::floor<std::chrono::hours>(time).time_since_epoch().count();
}

VerdictRow ToRow(const Verdict& verdict, std::int64_t engine_id, WallTime expires_at, std::int64_t last_used);
// About what the row takes on disk, bytes.
std::size_t ApproximateSize(const Verdict& verdict);

// The engines that were read lately, so that all verdicts of one engine share its EngineInfo. Thread-safe; bounded.
class EngineCache {
 public:
  std::optional<StoredEngine> Find(std::int64_t id) const;
  void Keep(const StoredEngine& engine);

 private:
  static constexpr std::size_t kMaxEntries = 256;
  mutable std::mutex mutex_;
  std::unordered_map<std::int64_t, StoredEngine> engines_;
};

struct StoredVerdict {
  VerdictRow row;
  Digest engine_identity;
  Verdict verdict;
};

// Reads verdicts through one connection and believes only rows whose check is right. Used by one thread at a time.
class VerdictReader {
 public:
  // `connection` and `engines` must outlive it.
  static Result<VerdictReader> Prepare(SqliteConnection& connection, EngineCache& engines);

  // Empty when there is no row. Expired rows are returned. kCorrupt when the row is not what was written.
  Result<std::optional<StoredVerdict>> Read(const Digest& digest);
  // SQLite found the file itself, not just a row's content, to be damaged.
  bool FoundDamage() const { return found_damage_; }

 private:
  VerdictReader(SqliteStatement verdict, SqliteStatement engine, EngineCache& engines)
      : verdict_(std::move(verdict)), engine_(std::move(engine)), engines_(&engines) {}
  Result<StoredEngine> ReadEngine(std::int64_t id);
  Result<bool> Step(SqliteRun& run);

  SqliteStatement verdict_;
  SqliteStatement engine_;
  EngineCache* engines_;
  Sha256 hasher_;
  bool found_damage_ = false;
};

}  // namespace lazaret::embedded
