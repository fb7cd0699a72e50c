#include "embedded/sqlite_job_queue.h"

#include <fcntl.h>
#include <unistd.h>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include "aio/gate.h"
#include "core/stored_content.h"
#include "core/verdict_encoding.h"
#include "embedded/queue_writer.h"
#include "embedded/reader_pool.h"

namespace lazaret::embedded {
namespace {

using Admission = GroupCommitter::Admission;

struct Reader {
  SqliteConnection connection;
  JobReader jobs;
};

// A content that does not lie in memory, to be kept in the database.
Result<std::string> ReadSmall(int fd, std::uint64_t size) {
  std::string bytes(size, '\0');
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(SystemError("reading a content", errno));
    if (got == 0) return Fail(Errc::kInternal, "reading a content: it is shorter than it should be");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

// How many small contents that lie in files are in memory on their way into the database, and how long others wait.
constexpr std::size_t kMostRead = 16;
constexpr seconds kLongestWait{30};

// Such a content. It has its seat until it has been written, also when nobody waits for that any more.
struct SmallRead {
  aio::Gate::Seat seat;
  std::string bytes;
};

}  // namespace

struct SqliteJobQueue::Impl {
  Impl(Settings s, aio::BlockingPool& p, const Clock& c, Log& l) : settings(std::move(s)), pool(p), clock(c), log(l) {}

  bool IsExpired(const Job& job) const {
    if (!job.IsFinished() || !job.finished_at) return false;  // a damaged row has no end
    const milliseconds keep = job.state == JobState::kDone ? settings.policy.keep_done : settings.policy.keep_dead;
    return clock.Now() - *job.finished_at >= keep;
  }
  // Its lease may not have reached the disk yet.
  void ShowLease(Job& job) const {
    if (job.state == JobState::kQueued && writer->IsLeased(job.id)) job.state = JobState::kLeased;
  }
  template <class Read>
  auto ReadJobs(Read read) {
    return readers->Run([this, read = std::move(read)](Reader& reader) {
      auto result = read(reader.jobs);
      if (!result && reader.jobs.FoundDamage()) writer->ReportDamage(result.error());
      return result;
    });
  }
  Result<ContentPtr> Load(const TakenRow& taken);
  aio::Task<Result<std::shared_ptr<const SmallRead>>> Read(Content& content);

  const Settings settings;
  aio::BlockingPool& pool;
  const Clock& clock;
  Log& log;
  aio::Gate reads{kMostRead};
  // Each uses those above it.
  std::unique_ptr<SqliteConnection> connection;
  std::unique_ptr<ContentFiles> files;
  std::unique_ptr<QueueWriter> writer;
  std::unique_ptr<ReaderPool<Reader>> readers;
};

SqliteJobQueue::SqliteJobQueue(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteJobQueue::~SqliteJobQueue() = default;

Result<std::unique_ptr<SqliteJobQueue>> SqliteJobQueue::Open(Settings settings, aio::BlockingPool& pool,
                                                             const Clock& clock, Log& log) {
  auto impl = std::make_unique<Impl>(std::move(settings), pool, clock, log);
  const Settings& set = impl->settings;
  auto connection = OpenQueueDatabase(set.file);
  if (!connection) return std::unexpected(connection.error());
  impl->connection = std::make_unique<SqliteConnection>(*std::move(connection));
  auto files = ContentFiles::Open(set.directory, pool);
  if (!files) return std::unexpected(files.error());
  impl->files = *std::move(files);
  std::vector<std::unique_ptr<Reader>> readers;
  for (std::size_t i = 0; i < std::max<std::size_t>(set.readers, 1); ++i) {
    auto second = OpenQueueReader(set.file);
    if (!second) return std::unexpected(second.error());
    auto jobs = JobReader::Prepare(*second);
    if (!jobs) return std::unexpected(jobs.error());
    readers.push_back(std::make_unique<Reader>(*std::move(second), *std::move(jobs)));
  }
  impl->readers = std::make_unique<ReaderPool<Reader>>(std::move(readers));
  auto writer = QueueWriter::Start(
      *impl->connection, *impl->files,
      {.policy = set.policy, .max_messages = set.max_messages, .max_queued = set.max_queued}, clock, log);
  if (!writer) return std::unexpected(writer.error());
  impl->writer = *std::move(writer);
  return std::unique_ptr<SqliteJobQueue>(new SqliteJobQueue(std::move(impl)));
}

Result<void> SqliteJobQueue::CheckRoom(std::uint64_t size) const {
  if (auto whole = impl_->writer->CheckDamage(); !whole) return whole;
  return embedded::CheckRoom(impl_->writer->state(), impl_->settings.policy, size);
}

aio::Task<Result<std::shared_ptr<const SmallRead>>> SqliteJobQueue::Impl::Read(Content& content) {
  const auto fd = content.Descriptor();
  if (!fd) co_return std::unexpected(fd.error());
  auto seat = co_await reads.Enter(std::chrono::steady_clock::now() + kLongestWait);
  if (!seat) co_return Fail(Errc::kOverloaded, "too many contents wait to be written to the queue");
  auto bytes = co_await pool.Run([fd = *fd, size = content.size()] { return ReadSmall(fd, size); });
  if (!bytes) co_return std::unexpected(bytes.error());
  co_return std::make_shared<const SmallRead>(*std::move(seat), *std::move(bytes));
}

aio::Task<Result<Submitted>> SqliteJobQueue::Submit(ContentPtr content, std::optional<Callback> callback) {
  Impl& impl = *impl_;
  if (auto whole = impl.writer->CheckDamage(); !whole) co_return std::unexpected(whole.error());
  const std::uint64_t size = content->size();
  const bool in_row = size <= impl.settings.inline_bytes;
  Submission submission{.content = content, .bytes = {}, .file = {}, .callback = std::move(callback)};
  std::shared_ptr<const SmallRead> read;
  bool needs_file = false;
  if (in_row) {
    submission.bytes = content->InMemory();
    if (submission.bytes->size() != size) {
      auto small = co_await impl.Read(*content);
      if (!small) co_return std::unexpected(small.error());
      read = *std::move(small);
      submission.bytes = AsBytes(read->bytes);
    }
  } else {
    // Nothing is copied for a job that is there already.
    const auto known = co_await impl.ReadJobs([&](JobReader& jobs) { return jobs.Find(content->digest()); });
    needs_file = !known || !*known || (*known)->IsFinished();
  }
  while (true) {
    if (needs_file) {
      if (auto room = CheckRoom(size); !room) co_return std::unexpected(room.error());
      const auto fd = content->Descriptor();
      if (!fd) co_return std::unexpected(fd.error());
      auto stored = co_await impl.pool.Run([&] { return impl.files->Store(content->digest(), *fd, size); });
      if (!stored) co_return std::unexpected(stored.error());
      submission.file = *std::move(stored);
    }
    const auto submitted = co_await impl.writer->Run(
        [writer = impl.writer.get(), submission, read](JobStore& jobs) -> Result<std::optional<Submitted>> {
          if (auto whole = writer->CheckDamage(); !whole) return std::unexpected(whole.error());
          return jobs.Submit(submission);
        },
        Admission::kBounded, in_row ? size : 0);
    if (!submitted) co_return std::unexpected(submitted.error());
    if (*submitted) co_return **submitted;
    // It was there a moment ago and has finished since.
    needs_file = true;
  }
}

aio::Task<Result<std::optional<Job>>> SqliteJobQueue::Find(Digest id) {
  Impl& impl = *impl_;
  auto job = co_await impl.ReadJobs([&](JobReader& jobs) { return jobs.Find(id); });
  if (!job || !*job) co_return job;
  if (impl.IsExpired(**job)) co_return std::nullopt;
  impl.ShowLease(**job);
  co_return job;
}

aio::Task<Result<std::vector<Job>>> SqliteJobQueue::List(JobFilter filter) {
  Impl& impl = *impl_;
  auto jobs = co_await impl.ReadJobs([&](JobReader& reader) { return reader.List(filter); });
  if (!jobs) co_return jobs;
  for (Job& job : *jobs) impl.ShowLease(job);
  std::erase_if(*jobs,
                [&](const Job& job) { return impl.IsExpired(job) || (filter.state && job.state != *filter.state); });
  co_return jobs;
}

Result<ContentPtr> SqliteJobQueue::Impl::Load(const TakenRow& taken) {
  const Digest& id = taken.row.id;
  switch (taken.row.place) {
    case ContentPlace::kNowhere: break;
    case ContentPlace::kRow:
      if (taken.bytes.size() != taken.row.size || Sha256::Of(AsBytes(taken.bytes)) != id) break;
      return MakeMemoryContent(id, taken.bytes);
    case ContentPlace::kFile:
      // The lease is held by whoever waits for this, however long it takes.
      return files->Load({id, taken.row.file}, taken.row.size, [&] { writer->Renew(taken.lease); });
  }
  return Fail(Errc::kCorrupt,
              fmt::format("the content of job {} in {} is not what was stored", id.Hex(), settings.file.native()));
}

aio::Task<Result<std::optional<LeasedJob>>> SqliteJobQueue::Take(JobKind kind, SteadyTime until) {
  Impl& impl = *impl_;
  auto taken = co_await impl.writer->TakeJob(kind, until);
  if (!taken) co_return std::unexpected(taken.error());
  if (!*taken) co_return std::nullopt;
  QueueWriter::TakenJob& job = **taken;
  auto content =
      job->row.place == ContentPlace::kFile ? co_await impl.pool.Run([&] { return impl.Load(*job); }) : impl.Load(*job);
  // Nobody would hear of it.
  const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != boost::asio::cancellation_type::none) {
    co_return Fail(Errc::kCancelled, "cancelled while a job was being taken");
  }
  if (!content && content.error().code == Errc::kCorrupt)
    impl.log.Error("content of a job lost", {{"id", job->row.id.Hex()}, {"why", content.error().what}});
  impl.writer->Renew(job->lease);
  job.Keep();
  co_return LeasedJob{.lease = job->lease,
                      .size = job->row.size,
                      .attempts = job->row.attempts,
                      .lost = job->row.lost,
                      .content = std::move(content)};
}

aio::Task<Result<void>> SqliteJobQueue::Renew(Lease lease) {
  if (impl_->writer->Renew(lease)) co_return Result<void>();
  co_return Fail(Errc::kNotFound, fmt::format("the lease has been lost of job {}", lease.id.Hex()));
}

aio::Task<Result<void>> SqliteJobQueue::Finish(Lease lease, VerdictPtr verdict, JobState end) {
  if (verdict == nullptr) throw std::logic_error("a job finished without a verdict");
  if (end != JobState::kDone && end != JobState::kDead) throw std::logic_error("a job finished in an unfinished state");
  return impl_->writer->Run([lease, end, bytes = EncodeVerdict(lease.id, *verdict)](JobStore& jobs) {
    return jobs.Finish(lease, AsBytes(bytes), end);
  });
}

aio::Task<Result<void>> SqliteJobQueue::Retry(Lease lease, milliseconds pause, std::string why) {
  return impl_->writer->Run(
      [lease, pause, why = std::move(why)](JobStore& jobs) { return jobs.Retry(lease, pause, why); });
}

aio::Task<Result<void>> SqliteJobQueue::Release(Lease lease) {
  return impl_->writer->Run([lease](JobStore& jobs) { return jobs.Release(lease); });
}

aio::Task<Result<void>> SqliteJobQueue::Revive(Digest id) {
  return impl_->writer->Run([id](JobStore& jobs) { return jobs.Revive(id); });
}

aio::Task<Result<void>> SqliteJobQueue::Drop(Digest id) {
  return impl_->writer->Run([id](JobStore& jobs) { return jobs.Drop(id); });
}

JobCounts SqliteJobQueue::Counts() const {
  const QueueState state = impl_->writer->state();
  return JobCounts{.queued = state.ready_small + state.ready_large + state.paused,
                   .leased = state.leased,
                   .done = state.done,
                   .dead = state.dead,
                   .bytes = state.bytes,
                   .oldest = state.oldest.transform([](std::int64_t at) { return WallTime(milliseconds(at)); })};
}

aio::Task<Result<void>> SqliteJobQueue::Add(Digest id, VerdictPtr verdict, Callback callback) {
  if (verdict == nullptr) throw std::logic_error("a message without a verdict");
  return impl_->writer->Run(
      [writer = impl_->writer.get(), id, callback = std::move(callback),
       bytes = EncodeVerdict(id, *verdict)](JobStore& jobs) -> Result<void> {
        if (auto whole = writer->CheckDamage(); !whole) return whole;
        return jobs.AddMessage(id, callback, AsBytes(bytes));
      },
      Admission::kBounded);
}

aio::Task<Result<std::optional<Delivery>>> SqliteJobQueue::TakeDue(milliseconds lease, SteadyTime until) {
  auto taken = co_await impl_->writer->TakeMessage(lease, until);
  if (!taken) co_return std::unexpected(taken.error());
  if (!*taken) co_return std::nullopt;
  const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != boost::asio::cancellation_type::none) {
    co_return Fail(Errc::kCancelled, "cancelled while a message was being taken");
  }
  co_return std::move(**taken).Keep();
}

aio::Task<Result<void>> SqliteJobQueue::Close(std::uint64_t number) { return impl_->writer->CloseMessage(number); }

aio::Task<Result<void>> SqliteJobQueue::Postpone(std::uint64_t number, milliseconds pause) {
  return impl_->writer->PostponeMessage(number, pause);
}

aio::Task<Result<void>> SqliteJobQueue::Return(std::uint64_t number, milliseconds pause) {
  return impl_->writer->ReturnMessage(number, pause);
}

std::uint64_t SqliteJobQueue::waiting() const { return impl_->writer->state().messages; }

SqliteJobQueue::Stats SqliteJobQueue::stats() const {
  const auto counts = impl_->writer->counts();
  return {.writes = counts.changes, .write_groups = counts.groups};
}

}  // namespace lazaret::embedded
