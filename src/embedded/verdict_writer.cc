#include "embedded/verdict_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <unordered_set>
#include <utility>

namespace lazaret::embedded {
namespace {

constexpr std::size_t kMaxGroup = 1000;
constexpr std::size_t kMaxUsed = 10'000;
constexpr std::size_t kMaxEngines = 256;
constexpr std::size_t kMaxVerdictBytes = 256 * 1024;
constexpr std::int64_t kExpiryStep = 200;
constexpr seconds kExpiryPause{60};
constexpr milliseconds kExpiryTick{10};
constexpr milliseconds kIdleTick{1000};

}  // namespace

Result<std::unique_ptr<VerdictWriter>> VerdictWriter::Start(SqliteConnection& connection, EngineCache& engines,
                                                            CachePolicy policy, Limits limits, const Clock& clock,
                                                            Log& log) {
  auto reader = VerdictReader::Prepare(connection, engines);
  if (!reader) return std::unexpected(reader.error());
  auto statements = PrepareStatements(connection);
  if (!statements) return std::unexpected(statements.error());
  const auto entries = connection.QueryInteger("SELECT count(*) FROM verdicts");
  if (!entries) return std::unexpected(entries.error());
  std::unique_ptr<VerdictWriter> writer(
      new VerdictWriter(connection, *std::move(reader), *std::move(statements), policy, limits, clock, log));
  writer->counts_.entries = static_cast<std::uint64_t>(*entries);
  writer->thread_ = std::jthread([&self = *writer] { self.Run(); });
  return writer;
}

Result<VerdictWriter::Statements> VerdictWriter::PrepareStatements(SqliteConnection& connection) {
  constexpr std::string_view kSql[] = {
      "INSERT INTO verdicts(kind, reason, signatures, detail, size, scanned_at, scan_ms, engine_id, expires_at, "
      "last_used, \"check\", digest) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
      "UPDATE verdicts SET kind = ?, reason = ?, signatures = ?, detail = ?, size = ?, scanned_at = ?, scan_ms = ?, "
      "engine_id = ?, expires_at = ?, last_used = ?, \"check\" = ? WHERE digest = ?",
      // An engine row that was damaged on the disk is repaired.
      "INSERT INTO engines(identity, signature_set, profile, name, version, label, built_at, signatures, test_set) "
      "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(identity) DO UPDATE SET signature_set = excluded.signature_set, "
      "profile = excluded.profile, name = excluded.name, version = excluded.version, label = excluded.label, "
      "built_at = excluded.built_at, signatures = excluded.signatures, test_set = excluded.test_set RETURNING id",
      "UPDATE verdicts SET last_used = ?, \"check\" = ? WHERE digest = ?",
      "DELETE FROM verdicts WHERE digest IN "
      "(SELECT digest FROM verdicts WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
      "SELECT digest FROM verdicts ORDER BY last_used, scanned_at LIMIT ?",
      "DELETE FROM verdicts WHERE digest = ?",
  };
  std::vector<SqliteStatement> prepared;
  for (const std::string_view sql : kSql) {
    auto statement = connection.Prepare(sql);
    if (!statement) return std::unexpected(statement.error());
    prepared.push_back(*std::move(statement));
  }
  return Statements{std::move(prepared[0]), std::move(prepared[1]), std::move(prepared[2]), std::move(prepared[3]),
                    std::move(prepared[4]), std::move(prepared[5]), std::move(prepared[6])};
}

VerdictWriter::VerdictWriter(SqliteConnection& connection, VerdictReader reader, Statements statements,
                             CachePolicy policy, Limits limits, const Clock& clock, Log& log)
    : connection_(connection),
      reader_(std::move(reader)),
      statements_(std::move(statements)),
      policy_(policy),
      limits_(limits),
      clock_(clock),
      log_(log) {}

void VerdictWriter::Finish() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  thread_.join();
}

Result<std::shared_ptr<VerdictWriter::Group>> VerdictWriter::Add(const Digest& digest, VerdictPtr verdict) {
  if (verdict == nullptr) throw std::logic_error("storing no verdict");
  if (ApproximateSize(*verdict) > kMaxVerdictBytes) {
    return Fail(Errc::kTooLarge, fmt::format("the verdict of {} is too large to be stored", digest.Hex()));
  }
  std::shared_ptr<Group> group;
  {
    std::lock_guard lock(mutex_);
    if (queued_ >= limits_.max_queued) {
      return Fail(Errc::kOverloaded,
                  fmt::format("{}: {} verdicts wait to be written already", connection_.path(), queued_));
    }
    ++queued_;
    // A group never evicts what it stores itself.
    if (groups_.empty() || groups_.back()->verdicts.size() >= std::min(kMaxGroup, limits_.max_entries)) {
      groups_.push_back(std::make_shared<Group>());
    }
    group = groups_.back();
    group->verdicts.emplace_back(digest, std::move(verdict));
  }
  work_.notify_one();
  return group;
}

void VerdictWriter::Touch(const Digest& digest) {
  std::lock_guard lock(mutex_);
  if (used_.size() < kMaxUsed) used_.push_back(digest);
}

void VerdictWriter::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait_for(lock, more_expired_ && !failing_ ? kExpiryTick : kIdleTick,
                   [this] { return stopping_ || !groups_.empty(); });
    if (stopping_ && groups_.empty() && used_.empty()) return;
    std::shared_ptr<Group> group;
    if (!groups_.empty()) {
      group = std::move(groups_.front());
      groups_.pop_front();
    }
    const std::vector<Digest> used = std::exchange(used_, {});
    lock.unlock();
    const Result<void> result = Write(group.get(), used);
    lock.lock();
    if (group == nullptr) continue;
    queued_ -= group->verdicts.size();
    lock.unlock();
    group->committed.Set(result);
    lock.lock();
  }
}

Result<void> VerdictWriter::Write(const Group* group, const std::vector<Digest>& used) {
  if (group == nullptr && used.empty() && clock_.SteadyNow() < next_expiry_) return {};
  entries_ = static_cast<std::int64_t>(counts_.entries.load());
  evicted_ = 0;
  const auto written = WriteInTransaction(group, used);
  if (written) {
    counts_.entries = static_cast<std::uint64_t>(entries_);
    counts_.evicted += evicted_;
    if (group != nullptr) {
      counts_.writes += group->verdicts.size();
      ++counts_.groups;
    }
  } else {
    // The engines of this transaction have no rows now.
    engines_.clear();
    last_engine_.reset();
    if (connection_.InTransaction()) {
      if (auto undone = connection_.Execute("ROLLBACK"); !undone) Report(undone);
    }
  }
  Report(written);
  return written;
}

Result<void> VerdictWriter::WriteInTransaction(const Group* group, const std::vector<Digest>& used) {
  if (auto begun = connection_.Execute("BEGIN IMMEDIATE"); !begun) return begun;
  for (const Digest& digest : used) {
    if (auto marked = MarkUsed(digest); !marked) return marked;
  }
  if (clock_.SteadyNow() >= next_expiry_) {
    if (auto removed = RemoveExpired(); !removed) return removed;
  }
  if (group != nullptr) {
    for (const auto& [digest, verdict] : group->verdicts) {
      if (auto put = Put(digest, *verdict); !put) return put;
    }
    const auto limit = static_cast<std::int64_t>(limits_.max_entries);
    if (entries_ > limit) {
      // In batches, so that a full cache does not pay for a search at every store.
      const std::int64_t batch = std::max<std::int64_t>(entries_ - limit, limit / 100);
      if (auto evicted = Evict(static_cast<std::size_t>(batch), *group); !evicted) return evicted;
    }
  }
  return connection_.Execute("COMMIT");
}

Result<void> VerdictWriter::Put(const Digest& digest, const Verdict& verdict) {
  const auto engine = EngineOf(verdict.record().engine);
  if (!engine) return std::unexpected(engine.error());
  const VerdictRow row = ToRow(verdict, engine->id, policy_.ExpiryOf(verdict), CurrentHour());
  const auto check = row.Check(digest, engine->identity, hasher_);
  for (SqliteStatement* statement : {&statements_.insert, &statements_.replace}) {
    SqliteRun run(*statement);
    run.Bind(row.kind).Bind(row.reason).Bind(AsBytes(row.signatures)).Bind(std::string_view(row.detail));
    run.Bind(row.size).Bind(row.scanned_at).Bind(row.scan_ms).Bind(row.engine_id).Bind(row.expires_at);
    run.Bind(row.last_used).Bind(Bytes(check)).Bind(digest.AsSpan());
    if (auto done = run.Finish(); !done) return done;
    if (connection_.ChangedRows() == 0) continue;
    if (statement == &statements_.insert) ++entries_;
    return {};
  }
  return Fail(Errc::kCorrupt, fmt::format("{}: a row is both there and not there", connection_.path()));
}

Result<void> VerdictWriter::MarkUsed(const Digest& digest) {
  auto stored = reader_.Read(digest);
  // A damaged row must not get a right check: leave it for the next Find to report.
  if (!stored) return {};
  if (!*stored || (*stored)->row.last_used >= CurrentHour()) return {};
  VerdictRow& row = (*stored)->row;
  row.last_used = CurrentHour();
  const auto check = row.Check(digest, (*stored)->engine_identity, hasher_);
  SqliteRun run(statements_.touch);
  return run.Bind(row.last_used).Bind(Bytes(check)).Bind(digest.AsSpan()).Finish();
}

Result<void> VerdictWriter::RemoveExpired() {
  SqliteRun run(statements_.expire);
  run.Bind(std::int64_t{clock_.Now().time_since_epoch().count()}).Bind(kExpiryStep);
  if (auto done = run.Finish(); !done) return done;
  const std::int64_t removed = connection_.ChangedRows();
  entries_ -= removed;
  more_expired_ = removed == kExpiryStep;
  if (!more_expired_) next_expiry_ = clock_.SteadyNow() + kExpiryPause;
  return {};
}

Result<void> VerdictWriter::Evict(std::size_t rows, const Group& keep) {
  // What has just been stored was promised to be found.
  std::unordered_set<Digest, DigestHash> kept;
  for (const auto& [digest, verdict] : keep.verdicts) kept.insert(digest);
  std::vector<Digest> oldest;
  {
    SqliteRun run(statements_.oldest);
    run.Bind(static_cast<std::int64_t>(rows + kept.size()));
    while (true) {
      const auto row = run.Step();
      if (!row) return std::unexpected(row.error());
      if (!*row) break;
      const auto digest = Digest::FromBytes(run.TakeBlob());
      if (digest && !kept.contains(*digest) && oldest.size() < rows) oldest.push_back(*digest);
    }
  }
  for (const Digest& digest : oldest) {
    SqliteRun run(statements_.remove);
    if (auto done = run.Bind(digest.AsSpan()).Finish(); !done) return done;
    const std::int64_t removed = connection_.ChangedRows();
    entries_ -= removed;
    evicted_ += static_cast<std::uint64_t>(removed);
  }
  return {};
}

Result<StoredEngine> VerdictWriter::EngineOf(const EngineInfoPtr& info) {
  if (last_engine_ && last_engine_->info == info) return *last_engine_;
  const Digest identity = IdentityOf(*info, hasher_);
  if (const auto known = engines_.find(identity); known != engines_.end()) {
    last_engine_ = StoredEngine{known->second.id, identity, info};
    return *last_engine_;
  }
  std::optional<std::int64_t> built_at;
  if (info->built_at) built_at = info->built_at->time_since_epoch().count();
  SqliteRun run(statements_.put_engine);
  run.Bind(identity.AsSpan()).Bind(info->signature_set.AsSpan()).Bind(info->profile.AsSpan());
  run.Bind(std::string_view(info->name)).Bind(std::string_view(info->version));
  run.Bind(std::string_view(info->signature_label)).Bind(built_at);
  run.Bind(static_cast<std::int64_t>(info->signatures)).Bind(std::int64_t{info->test_set});
  const auto row = run.Step();
  if (!row) return std::unexpected(row.error());
  last_engine_ = StoredEngine{run.TakeInteger(), identity, info};
  if (engines_.size() >= kMaxEngines) engines_.clear();
  engines_.insert_or_assign(identity, *last_engine_);
  return *last_engine_;
}

void VerdictWriter::Report(const Result<void>& result) {
  if (result) {
    if (std::exchange(failing_, false)) log_.Info("verdict cache writes again", {{"file", connection_.path()}});
    return;
  }
  if (result.error().code == Errc::kCorrupt) found_damage_ = true;
  if (!std::exchange(failing_, true)) log_.Error("verdict cache cannot write", {{"why", result.error().what}});
}

}  // namespace lazaret::embedded
