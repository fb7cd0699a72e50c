#include "embedded/verdict_row.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

namespace lazaret::embedded {
namespace {

// Bytes to be hashed in which no two lists of fields look the same.
class Fingerprint {
 public:
  void Add(std::int64_t value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void Add(std::string_view text) {
    Add(static_cast<std::int64_t>(text.size()));
    bytes_ += text;
  }
  void Add(const Digest& digest) { bytes_ += AsText(digest.AsSpan()); }
  Digest Hash(Sha256& hasher) const {
    static_assert(std::endian::native == std::endian::little, "a file must mean the same on every machine");
    hasher.Update(AsBytes(bytes_));
    return hasher.Finish();
  }

 private:
  std::string bytes_;
};

std::string EncodeSignatures(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += fmt::format("{}:{},", name.size(), name);
  return out;
}

std::optional<std::vector<std::string>> DecodeSignatures(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    std::size_t length = 0;
    const auto [colon, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    text.remove_prefix(static_cast<std::size_t>(colon - text.data()));
    if (error != std::errc{} || !text.starts_with(':') || text.size() < 2 || length > text.size() - 2) {
      return std::nullopt;
    }
    if (text[length + 1] != ',') return std::nullopt;
    names.emplace_back(text.substr(1, length));
    text.remove_prefix(length + 2);
  }
  return names;
}

WallTime FromMilliseconds(std::int64_t value) { return WallTime(milliseconds(value)); }
std::int64_t ToMilliseconds(WallTime time) { return time.time_since_epoch().count(); }

// SQLite keeps no NaN and no sign of a zero.
double Storable(double value) { return std::isfinite(value) ? value + 0.0 : 0.0; }

std::unexpected<Error> CorruptRow(const Digest& digest, std::string_view why) {
  return Fail(Errc::kCorrupt, fmt::format("the stored verdict of {} is not what was written: {}", digest.Hex(), why));
}

}  // namespace

Digest IdentityOf(const EngineInfo& info, Sha256& hasher) {
  Fingerprint print;
  print.Add(info.signature_set);
  print.Add(info.profile);
  print.Add(info.name);
  print.Add(info.version);
  print.Add(info.signature_label);
  print.Add(std::int64_t{info.built_at.has_value()});
  print.Add(info.built_at ? ToMilliseconds(*info.built_at) : 0);
  print.Add(static_cast<std::int64_t>(info.signatures));
  print.Add(std::int64_t{info.test_set});
  return print.Hash(hasher);
}

std::array<std::byte, 8> VerdictRow::Check(const Digest& digest, const Digest& engine_identity, Sha256& hasher) const {
  Fingerprint print;
  print.Add(digest);
  print.Add(engine_identity);
  for (const std::int64_t number :
       {kind, reason, size, scanned_at, std::bit_cast<std::int64_t>(scan_ms), engine_id, expires_at, last_used}) {
    print.Add(number);
  }
  print.Add(signatures);
  print.Add(detail);
  const Digest hash = print.Hash(hasher);
  std::array<std::byte, 8> check;
  std::ranges::copy(hash.AsSpan().first(check.size()), check.begin());
  return check;
}

VerdictRow ToRow(const Verdict& verdict, std::int64_t engine_id, WallTime expires_at, std::int64_t last_used) {
  const ScanRecord& record = verdict.record();
  return VerdictRow{.kind = static_cast<std::int64_t>(verdict.kind()),
                    .reason = static_cast<std::int64_t>(verdict.reason()),
                    .signatures = EncodeSignatures(verdict.signatures()),
                    .detail = verdict.detail(),
                    .size = static_cast<std::int64_t>(record.size),
                    .scanned_at = ToMilliseconds(record.scanned_at),
                    .scan_ms = Storable(record.scan_ms),
                    .engine_id = engine_id,
                    .expires_at = ToMilliseconds(expires_at),
                    .last_used = last_used};
}

std::size_t ApproximateSize(const Verdict& verdict) {
  std::size_t size = 128 + verdict.detail().size();
  for (const std::string& name : verdict.signatures()) size += name.size() + 8;
  return size;
}

std::optional<StoredEngine> EngineCache::Find(std::int64_t id) const {
  std::lock_guard lock(mutex_);
  const auto found = engines_.find(id);
  if (found == engines_.end()) return std::nullopt;
  return found->second;
}

void EngineCache::Keep(const StoredEngine& engine) {
  std::lock_guard lock(mutex_);
  if (engines_.size() >= kMaxEntries) engines_.clear();
  engines_.insert_or_assign(engine.id, engine);
}

Result<VerdictReader> VerdictReader::Prepare(SqliteConnection& connection, EngineCache& engines) {
  auto verdict = connection.Prepare(
      "SELECT kind, reason, signatures, detail, size, scanned_at, scan_ms, engine_id, expires_at, last_used, \"check\" "
      "FROM verdicts WHERE digest = ?");
  if (!verdict) return std::unexpected(verdict.error());
  auto engine = connection.Prepare(
      "SELECT identity, signature_set, profile, name, version, label, built_at, signatures, test_set "
      "FROM engines WHERE id = ?");
  if (!engine) return std::unexpected(engine.error());
  return VerdictReader(*std::move(verdict), *std::move(engine), engines);
}

Result<std::optional<StoredVerdict>> VerdictReader::Read(const Digest& digest) {
  VerdictRow row;
  std::vector<std::byte> check;
  {
    SqliteRun run(verdict_);
    run.Bind(digest.AsSpan());
    const auto found = Step(run);
    if (!found) return std::unexpected(found.error());
    if (!*found) return std::nullopt;
    row.kind = run.TakeInteger();
    row.reason = run.TakeInteger();
    row.signatures = AsText(run.TakeBlob());
    row.detail = run.TakeText();
    row.size = run.TakeInteger();
    row.scanned_at = run.TakeInteger();
    row.scan_ms = run.TakeReal();
    row.engine_id = run.TakeInteger();
    row.expires_at = run.TakeInteger();
    row.last_used = run.TakeInteger();
    const Bytes blob = run.TakeBlob();
    check.assign(blob.begin(), blob.end());
  }
  auto engine = engines_->Find(row.engine_id);
  if (!engine) {
    auto read = ReadEngine(row.engine_id);
    if (!read && read.error().code == Errc::kCorrupt) return CorruptRow(digest, read.error().what);
    if (!read) return std::unexpected(read.error());
    engine = *std::move(read);
    engines_->Keep(*engine);
  }
  if (!std::ranges::equal(check, row.Check(digest, engine->identity, hasher_))) {
    return CorruptRow(digest, "its check does not match");
  }
  auto names = DecodeSignatures(row.signatures);
  if (!names) return CorruptRow(digest, "its signature names cannot be read");
  ScanRecord record{.engine = engine->info,
                    .size = static_cast<std::uint64_t>(row.size),
                    .scanned_at = FromMilliseconds(row.scanned_at),
                    .scan_ms = row.scan_ms};
  auto verdict = Verdict::Restore(std::move(record), static_cast<VerdictKind>(row.kind),
                                  static_cast<Reason>(row.reason), *std::move(names), row.detail);
  if (!verdict) return CorruptRow(digest, verdict.error().what);
  return StoredVerdict{std::move(row), engine->identity, *std::move(verdict)};
}

Result<bool> VerdictReader::Step(SqliteRun& run) {
  auto found = run.Step();
  if (!found && found.error().code == Errc::kCorrupt) found_damage_ = true;
  return found;
}

Result<StoredEngine> VerdictReader::ReadEngine(std::int64_t id) {
  SqliteRun run(engine_);
  run.Bind(id);
  const auto found = Step(run);
  if (!found) return std::unexpected(found.error());
  if (!*found) return Fail(Errc::kCorrupt, "its engine is missing");
  const auto identity = Digest::FromBytes(run.TakeBlob());
  const auto signature_set = Digest::FromBytes(run.TakeBlob());
  const auto profile = Digest::FromBytes(run.TakeBlob());
  if (!identity || !signature_set || !profile) return Fail(Errc::kCorrupt, "its engine cannot be read");
  // Braces keep the order of the columns.
  EngineInfo info{.signature_set = *signature_set,
                  .profile = *profile,
                  .name = std::string(run.TakeText()),
                  .version = std::string(run.TakeText()),
                  .signature_label = std::string(run.TakeText()),
                  .built_at = run.TakeOptionalInteger().transform(FromMilliseconds),
                  .signatures = static_cast<std::uint64_t>(run.TakeInteger()),
                  .test_set = false};
  const std::int64_t test_set = run.TakeInteger();
  info.test_set = test_set != 0;
  if (test_set > 1 || test_set < 0 || IdentityOf(info, hasher_) != *identity) {
    return Fail(Errc::kCorrupt, "its engine's identity does not match");
  }
  return StoredEngine{id, *identity, std::make_shared<const EngineInfo>(std::move(info))};
}

}  // namespace lazaret::embedded
