#include "embedded/job_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "core/verdict_encoding.h"

namespace lazaret::embedded {
namespace {

#define LAZARET_JOB_ROW "seq, id, state, lane, size, attempts, lost, content, file, token, finished_at"
#define LAZARET_JOB "id, state, size, submitted_at, attempts, lost, note, content, finished_at, verdict"

enum WriteSql : std::size_t {
  kFind,
  kInsert,
  kRemove,
  kInsertContent,
  kReadContent,
  kRemoveContent,
  kMoveContent,
  kFirst,
  kLease,
  kQueue,
  kCountAttempt,
  kCountLost,
  kFinish,
  kForgetContent,
  kEndPauses,
  kFirstPauseEnd,
  kEnded,
  kFirstKept,
};

constexpr std::string_view kWriteSql[] = {
    "SELECT " LAZARET_JOB_ROW " FROM jobs WHERE id = ?",
    "INSERT INTO jobs(id, state, lane, size, submitted_at, attempts, lost, note, content, file) "
    "VALUES(?, 1, ?, ?, ?, 0, 0, '', ?, ?)",
    "DELETE FROM jobs WHERE seq = ?",
    // In place of what a damaged row may have left behind.
    "INSERT OR REPLACE INTO contents(seq, bytes) VALUES(?, ?)",
    "SELECT bytes FROM contents WHERE seq = ?",
    "DELETE FROM contents WHERE seq = ?",
    "UPDATE contents SET seq = ?2 WHERE seq = ?1",
    "SELECT seq, submitted_at FROM jobs WHERE lane = ? ORDER BY seq LIMIT 1",
    "UPDATE jobs SET state = 2, lane = 4, token = ?2 WHERE seq = ?1 RETURNING " LAZARET_JOB_ROW,
    "UPDATE jobs SET state = 1, lane = ?2, available_at = ?3, token = NULL WHERE seq = ?1",
    "UPDATE jobs SET attempts = attempts + 1, note = ?2 WHERE seq = ?1",
    "UPDATE jobs SET lost = lost + 1 WHERE seq = ?1",
    "UPDATE jobs SET state = ?2, lane = NULL, token = NULL, finished_at = ?3, verdict = ?4, "
    "attempts = attempts + (?2 = 4) WHERE seq = ?1",
    "UPDATE jobs SET content = 0, file = NULL WHERE seq = ?1",
    "UPDATE jobs SET lane = iif(size <= ?2, 1, 2), available_at = NULL WHERE seq IN ("
    "SELECT seq FROM jobs WHERE available_at <= ?1 ORDER BY available_at LIMIT ?3) RETURNING lane",
    "SELECT min(available_at) FROM jobs WHERE available_at IS NOT NULL",
    "SELECT " LAZARET_JOB_ROW " FROM jobs WHERE state = ? AND finished_at <= ? ORDER BY finished_at LIMIT ?",
    "SELECT " LAZARET_JOB_ROW " FROM jobs WHERE state = 4 AND content <> 0 ORDER BY finished_at LIMIT 1",
};

enum ReadSql : std::size_t { kFindJob, kListAll, kListDone, kListDead, kListLeased, kListQueued };

constexpr std::string_view kReadSql[] = {
    "SELECT " LAZARET_JOB " FROM jobs WHERE id = ?1",
    "SELECT " LAZARET_JOB " FROM jobs ORDER BY seq DESC LIMIT ?1",
    // The newest that are done are found quickly from the end of the table.
    "SELECT " LAZARET_JOB " FROM jobs NOT INDEXED WHERE state = 3 ORDER BY seq DESC LIMIT ?1",
    // Dead letters are few among many.
    "SELECT " LAZARET_JOB
    " FROM jobs INDEXED BY jobs_by_end WHERE state = 4 AND finished_at IS NOT NULL ORDER BY seq DESC LIMIT ?1",
    "SELECT " LAZARET_JOB " FROM jobs INDEXED BY jobs_by_lane WHERE lane = 4 ORDER BY seq DESC LIMIT ?1",
    // The newest of each lane, each read from the end of the index.
    "SELECT " LAZARET_JOB
    " FROM jobs WHERE seq IN ("
    "SELECT seq FROM (SELECT seq FROM jobs INDEXED BY jobs_by_lane WHERE lane = 1 ORDER BY seq DESC LIMIT ?1) UNION "
    "ALL "
    "SELECT seq FROM (SELECT seq FROM jobs INDEXED BY jobs_by_lane WHERE lane = 2 ORDER BY seq DESC LIMIT ?1) UNION "
    "ALL "
    "SELECT seq FROM (SELECT seq FROM jobs INDEXED BY jobs_by_lane WHERE lane = 3 ORDER BY seq DESC LIMIT ?1)) "
    "ORDER BY seq DESC LIMIT ?1",
};

#undef LAZARET_JOB
#undef LAZARET_JOB_ROW

std::unexpected<Error> CorruptRow(std::string_view why) {
  return Fail(Errc::kCorrupt, fmt::format("a row of the job queue is not what was written: {}", why));
}

std::optional<JobState> ToState(std::int64_t number) {
  if (number < 1 || number > static_cast<std::int64_t>(JobState::kDead)) return std::nullopt;
  return static_cast<JobState>(number);
}

// The row that `run` stands on.
Result<JobRow> TakeJobRow(SqliteRun& run) {
  const std::int64_t seq = run.TakeInteger();
  const auto id = Digest::FromBytes(run.TakeBlob());
  if (!id) return CorruptRow("it has no id");
  const auto state = ToState(run.TakeInteger());
  if (!state) return CorruptRow("it is in no state");
  return JobRow{.seq = seq,
                .id = *id,
                .state = *state,
                .lane = run.TakeOptionalInteger().transform([](std::int64_t lane) { return static_cast<Lane>(lane); }),
                .size = static_cast<std::uint64_t>(run.TakeInteger()),
                .attempts = static_cast<std::uint32_t>(run.TakeInteger()),
                .lost = static_cast<std::uint32_t>(run.TakeInteger()),
                .place = static_cast<ContentPlace>(run.TakeInteger()),
                .file = static_cast<std::uint64_t>(run.TakeInteger()),
                .token = run.TakeOptionalInteger(),
                .finished_at = run.TakeOptionalInteger()};
}

// Empty when there is no row.
Result<std::optional<JobRow>> StepToJobRow(SqliteRun& run) {
  const auto found = run.Step();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  return TakeJobRow(run);
}

struct ReadJob {
  Job job;
  std::optional<Error> damage;  // then there is no verdict
};

Result<ReadJob> TakeJob(SqliteRun& run) {
  const auto id = Digest::FromBytes(run.TakeBlob());
  if (!id) return CorruptRow("it has no id");
  const auto state = ToState(run.TakeInteger());
  if (!state) return CorruptRow(fmt::format("job {} is in no state", id->Hex()));
  Job job{.id = *id,
          .state = *state,
          .size = static_cast<std::uint64_t>(run.TakeInteger()),
          .submitted_at = WallTime(milliseconds(run.TakeInteger())),
          .attempts = static_cast<std::uint32_t>(run.TakeInteger()),
          .lost = static_cast<std::uint32_t>(run.TakeInteger()),
          .note = std::string(run.TakeText()),
          .has_content = run.TakeInteger() != 0,
          .finished_at = run.TakeOptionalInteger().transform([](auto at) { return WallTime(milliseconds(at)); }),
          .verdict = nullptr};
  const Bytes verdict = run.TakeBlob();
  if (job.IsFinished() != job.finished_at.has_value() || job.IsFinished() == verdict.empty()) {
    auto damage = CorruptRow(fmt::format("job {} is neither finished nor unfinished", id->Hex())).error();
    return ReadJob{.job = std::move(job), .damage = std::move(damage)};
  }
  if (!job.IsFinished()) return ReadJob{.job = std::move(job), .damage = {}};
  auto decoded = DecodeVerdict(*id, verdict);
  if (!decoded) return ReadJob{.job = std::move(job), .damage = decoded.error()};
  job.verdict = *std::move(decoded);
  return ReadJob{.job = std::move(job), .damage = {}};
}

std::int64_t ToSql(std::uint64_t value) { return static_cast<std::int64_t>(value); }
template <class Enum>
  requires std::is_enum_v<Enum>
std::int64_t ToSql(Enum value) {
  return static_cast<std::int64_t>(value);
}

}  // namespace

Result<JobRows> JobRows::Prepare(SqliteConnection& connection) {
  auto statements = connection.PrepareAll(kWriteSql);
  if (!statements) return std::unexpected(statements.error());
  return JobRows(connection, *std::move(statements));
}

Result<std::optional<JobRow>> JobRows::Find(const Digest& id) {
  SqliteRun run(statements_[kFind]);
  return StepToJobRow(run.Bind(id.AsSpan()));
}

Result<std::int64_t> JobRows::Insert(const Digest& id, Lane lane, std::uint64_t size, std::int64_t now,
                                     ContentPlace place, std::uint64_t file) {
  std::optional<std::int64_t> number;
  if (place == ContentPlace::kFile) number = ToSql(file);
  SqliteRun run(statements_[kInsert]);
  run.Bind(id.AsSpan()).Bind(ToSql(lane)).Bind(ToSql(size)).Bind(now).Bind(ToSql(place)).Bind(number);
  if (auto done = run.Finish(); !done) return std::unexpected(done.error());
  return connection_->LastInsertedRow();
}

Result<void> JobRows::Remove(std::int64_t seq) { return SqliteRun(statements_[kRemove]).Bind(seq).Finish(); }

Result<void> JobRows::InsertContent(std::int64_t seq, Bytes bytes) {
  return SqliteRun(statements_[kInsertContent]).Bind(seq).Bind(bytes).Finish();
}

Result<std::string> JobRows::ReadContent(std::int64_t seq) {
  SqliteRun run(statements_[kReadContent]);
  const auto found = run.Bind(seq).Step();
  if (!found) return std::unexpected(found.error());
  return *found ? std::string(AsText(run.TakeBlob())) : std::string();
}

Result<void> JobRows::RemoveContent(std::int64_t seq) {
  return SqliteRun(statements_[kRemoveContent]).Bind(seq).Finish();
}

Result<void> JobRows::MoveContent(std::int64_t from, std::int64_t to) {
  return SqliteRun(statements_[kMoveContent]).Bind(from).Bind(to).Finish();
}

Result<std::optional<JobRows::Head>> JobRows::First(Lane lane) {
  SqliteRun run(statements_[kFirst]);
  const auto found = run.Bind(ToSql(lane)).Step();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  return Head{.seq = run.TakeInteger(), .submitted_at = run.TakeInteger()};
}

Result<JobRow> JobRows::Lease(std::int64_t seq, std::uint64_t token) {
  SqliteRun run(statements_[kLease]);
  auto row = StepToJobRow(run.Bind(seq).Bind(ToSql(token)));
  if (!row) return std::unexpected(row.error());
  if (!*row) return CorruptRow("it is both there and not there");
  return **std::move(row);
}

Result<void> JobRows::Queue(std::int64_t seq, Lane lane, std::optional<std::int64_t> available_at) {
  return SqliteRun(statements_[kQueue]).Bind(seq).Bind(ToSql(lane)).Bind(available_at).Finish();
}

Result<void> JobRows::CountAttempt(std::int64_t seq, const std::string& note) {
  return SqliteRun(statements_[kCountAttempt]).Bind(seq).Bind(std::string_view(note)).Finish();
}

Result<void> JobRows::CountLost(std::int64_t seq) { return SqliteRun(statements_[kCountLost]).Bind(seq).Finish(); }

Result<void> JobRows::Finish(std::int64_t seq, JobState end, std::int64_t now, Bytes verdict) {
  return SqliteRun(statements_[kFinish]).Bind(seq).Bind(ToSql(end)).Bind(now).Bind(verdict).Finish();
}

Result<void> JobRows::ForgetContent(std::int64_t seq) {
  return SqliteRun(statements_[kForgetContent]).Bind(seq).Finish();
}

Result<JobRows::EndedPauses> JobRows::EndPauses(std::int64_t now, std::uint64_t small_size, std::size_t limit) {
  const std::uint64_t size = std::min<std::uint64_t>(small_size, std::numeric_limits<std::int64_t>::max());
  SqliteRun run(statements_[kEndPauses]);
  run.Bind(now).Bind(ToSql(size)).Bind(static_cast<std::int64_t>(limit));
  EndedPauses ended;
  while (true) {
    const auto found = run.Step();
    if (!found) return std::unexpected(found.error());
    if (!*found) return ended;
    ++(run.TakeInteger() == ToSql(Lane::kSmall) ? ended.small : ended.large);
  }
}

Result<std::optional<std::int64_t>> JobRows::FirstPauseEnd() {
  SqliteRun run(statements_[kFirstPauseEnd]);
  const auto found = run.Step();
  if (!found) return std::unexpected(found.error());
  return *found ? run.TakeOptionalInteger() : std::nullopt;
}

Result<std::vector<JobRow>> JobRows::Ended(JobState state, std::int64_t until, std::size_t limit) {
  SqliteRun run(statements_[kEnded]);
  run.Bind(ToSql(state)).Bind(until).Bind(static_cast<std::int64_t>(limit));
  std::vector<JobRow> rows;
  while (true) {
    auto row = StepToJobRow(run);
    if (!row) return std::unexpected(row.error());
    if (!*row) return rows;
    rows.push_back(**std::move(row));
  }
}

Result<std::optional<JobRow>> JobRows::FirstKept() {
  SqliteRun run(statements_[kFirstKept]);
  return StepToJobRow(run);
}

Result<JobReader> JobReader::Prepare(SqliteConnection& connection) {
  auto statements = connection.PrepareAll(kReadSql);
  if (!statements) return std::unexpected(statements.error());
  return JobReader(*std::move(statements));
}

Result<bool> JobReader::Step(SqliteRun& run) {
  auto found = run.Step();
  if (!found && found.error().code == Errc::kCorrupt) found_damage_ = true;
  return found;
}

Result<std::optional<Job>> JobReader::Find(const Digest& id) {
  SqliteRun run(statements_[kFindJob]);
  run.Bind(id.AsSpan());
  const auto found = Step(run);
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  auto read = TakeJob(run);
  if (!read) return std::unexpected(read.error());
  if (read->damage) return std::unexpected(*read->damage);
  return std::move(read->job);
}

Result<std::vector<Job>> JobReader::List(const JobFilter& filter) {
  std::size_t sql = kListAll;
  if (filter.state) {
    switch (*filter.state) {
      case JobState::kQueued: sql = kListQueued; break;
      case JobState::kLeased: sql = kListLeased; break;
      case JobState::kDone: sql = kListDone; break;
      case JobState::kDead: sql = kListDead; break;
    }
  }
  SqliteRun run(statements_[sql]);
  run.Bind(static_cast<std::int64_t>(filter.limit));
  std::vector<Job> jobs;
  while (true) {
    const auto found = Step(run);
    if (!found) return std::unexpected(found.error());
    if (!*found) return jobs;
    auto read = TakeJob(run);
    if (!read) return std::unexpected(read.error());
    if (read->damage) read->job.note = "its verdict is damaged: " + read->damage->what;
    jobs.push_back(std::move(read->job));
  }
}

}  // namespace lazaret::embedded
