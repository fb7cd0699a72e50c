#include "embedded/sqlite_verdict_cache.h"

#include <algorithm>
#include <utility>

#include "embedded/verdict_database.h"

namespace lazaret::embedded {

SqliteVerdictCache::SqliteVerdictCache(Settings settings, const Clock& clock, Log& log)
    : settings_(std::move(settings)), clock_(clock), log_(log) {}

Result<std::unique_ptr<SqliteVerdictCache>> SqliteVerdictCache::Open(Settings settings, const Clock& clock, Log& log) {
  settings.max_entries = std::max<std::size_t>(settings.max_entries, 1);
  settings.readers = std::max<std::size_t>(settings.readers, 1);
  std::unique_ptr<SqliteVerdictCache> cache(new SqliteVerdictCache(std::move(settings), clock, log));
  const Settings& set = cache->settings_;
  auto connection = OpenVerdictDatabase(set.path, clock, log);
  if (!connection) return std::unexpected(connection.error());
  cache->write_connection_ = std::make_unique<SqliteConnection>(*std::move(connection));
  std::vector<std::unique_ptr<Reader>> readers;
  for (std::size_t i = 0; i < set.readers; ++i) {
    auto second = OpenVerdictReader(set.path);
    if (!second) return std::unexpected(second.error());
    auto verdicts = VerdictReader::Prepare(*second, cache->engines_);
    if (!verdicts) return std::unexpected(verdicts.error());
    readers.push_back(std::make_unique<Reader>(*std::move(second), *std::move(verdicts)));
  }
  auto writer = VerdictWriter::Start(*cache->write_connection_, cache->engines_, set.policy,
                                     {.max_entries = set.max_entries, .max_queued = set.max_queued}, clock, log);
  if (!writer) return std::unexpected(writer.error());
  cache->writer_ = *std::move(writer);
  cache->readers_ = std::make_unique<ReaderPool<Reader>>(std::move(readers));
  return cache;
}

SqliteVerdictCache::~SqliteVerdictCache() {
  if (writer_ == nullptr) return;
  writer_->Finish();
  const bool damaged =
      writer_->FoundDamage() || readers_->AnyOf([](const Reader& reader) { return reader.verdicts.FoundDamage(); });
  readers_.reset();
  writer_.reset();
  write_connection_.reset();
  if (!damaged) return;
  // Damage in the middle of a large file would otherwise be met again after every start.
  const auto moved = MoveAside(settings_.path, clock_, log_, "found to be damaged while in use");
  if (!moved) log_.Error("verdict cache damaged", {{"why", moved.error().what}});
}

aio::Task<Result<VerdictPtr>> SqliteVerdictCache::Find(Digest digest) {
  co_return co_await readers_->Run([this, &digest](Reader& reader) { return FindNow(reader, digest); });
}

Result<VerdictPtr> SqliteVerdictCache::FindNow(Reader& reader, const Digest& digest) {
  auto stored = reader.verdicts.Read(digest);
  if (!stored) {
    if (stored.error().code == Errc::kCorrupt) {
      ++corrupt_rows_;
      log_.Error("verdict cache row corrupt", {{"file", settings_.path}, {"why", stored.error().what}});
    }
    return std::unexpected(stored.error());
  }
  if (!*stored) return nullptr;
  Verdict& verdict = (*stored)->verdict;
  // The stored expiry is that of the policy then: a shorter one now holds for old rows, too.
  const WallTime now = clock_.Now();
  if (now >= settings_.policy.ExpiryOf(verdict) || now >= WallTime(milliseconds((*stored)->row.expires_at))) {
    return nullptr;
  }
  if ((*stored)->row.last_used < HourOf(now)) writer_->Touch(digest);
  return std::make_shared<const Verdict>(std::move(verdict));
}

aio::Task<Result<void>> SqliteVerdictCache::Store(Digest digest, VerdictPtr verdict) {
  const auto group = writer_->Add(digest, std::move(verdict));
  if (!group) co_return std::unexpected(group.error());
  const auto committed = co_await (*group)->committed.Wait(SteadyTime::max());
  if (!committed) co_return Fail(Errc::kCancelled, "cancelled while the verdict was being stored");
  co_return *committed;
}

SqliteVerdictCache::Stats SqliteVerdictCache::stats() const {
  const VerdictWriter::Counts& counts = writer_->counts();
  return Stats{.entries = counts.entries,
               .writes = counts.writes,
               .write_groups = counts.groups,
               .evicted = counts.evicted,
               .corrupt_rows = corrupt_rows_};
}

}  // namespace lazaret::embedded
