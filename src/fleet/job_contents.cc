#include "fleet/job_contents.h"

#include <unistd.h>

#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/memory_file.h"
#include "core/stored_content.h"
#include "fleet/job_errors.h"
#include "fleet/random_number.h"

namespace lazaret::fleet {
namespace {

using redis::Command;

// Chunks that are under way at a time.
constexpr std::size_t kWindow = 8;

std::string NewName() { return fmt::format("{:016x}", RandomNumber()); }

Result<std::string> ReadAt(int fd, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t done = 0; done < size;) {
    const ssize_t got = ::pread(fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(SystemError("reading a content", errno));
    if (got == 0) return Fail(Errc::kInternal, "reading a content: it is shorter than it should be");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

// A part of a content, wherever it lies.
aio::Task<Result<std::string>> ReadPart(Content& content, std::uint64_t offset, std::size_t size,
                                        aio::BlockingPool& disk) {
  if (const Bytes all = content.InMemory(); all.size() == content.size()) {
    co_return std::string(AsText(all.subspan(offset, size)));
  }
  const auto fd = content.Descriptor();
  if (!fd) co_return std::unexpected(fd.error());
  co_return co_await disk.Run([&] { return ReadAt(*fd, offset, size); });
}

std::unexpected<Error> Lost(const Digest& id, std::string_view why) {
  return Fail(Errc::kCorrupt, fmt::format("the content of job {} in Redis {}", id.Hex(), why));
}

}  // namespace

JobContents::Pending::Pending(JobContents& contents, const Digest& id, ContentPlace place)
    : contents_(contents), id_(id), place_(std::move(place)) {}

JobContents::Pending::~Pending() {
  if (kept_) return;
  if (place_.kind == ContentPlace::Kind::kFile) contents_.RemoveFiles({SharedFile{id_, place_.name}.Text()});
  if (place_.kind == ContentPlace::Kind::kChunks) {
    boost::asio::post(contents_.tasks_.executor(), [&contents = contents_, id = id_, place = place_] {
      contents.tasks_.Spawn(contents.RemoveChunks(id, place));
    });
  }
}

JobContents::JobContents(ShardCalls& calls, std::shared_ptr<const ContentDirectory> directory, aio::BlockingPool& disk,
                         aio::TaskGroup& tasks)
    : calls_(calls), directory_(std::move(directory)), disk_(disk), tasks_(tasks) {}

Result<void> JobContents::CheckSize(std::uint64_t size) const {
  const std::uint64_t most = std::max(calls_.settings().max_content, calls_.settings().inline_size);
  if (size <= most || directory_ != nullptr) return {};
  return Fail(
      Errc::kTooLarge,
      fmt::format("the content of {} bytes is larger than Redis is to hold (redis.max_content, {}): raise that, "
                  "or configure a directory that all nodes share (redis.content_directory)",
                  size, most));
}

aio::Task<Result<std::string>> JobContents::ReadInline(ContentPtr content) {
  co_return co_await ReadPart(*content, 0, content->size(), disk_);
}

aio::Task<Result<std::shared_ptr<JobContents::Pending>>> JobContents::Store(ContentPtr content) {
  const std::uint64_t size = content->size();
  if (auto fits = CheckSize(size); !fits) co_return std::unexpected(std::move(fits.error()));
  const std::string name = NewName();
  if (size > calls_.settings().max_content) {
    const auto fd = content->Descriptor();
    if (!fd) co_return std::unexpected(fd.error());
    const auto pending = std::make_shared<Pending>(*this, content->digest(),
                                                   ContentPlace{.kind = ContentPlace::Kind::kFile, .name = name});
    const SharedFile file{content->digest(), name};
    auto stored = co_await disk_.Run([&] { return directory_->Store(file, *fd, size); });
    if (!stored) co_return std::unexpected(std::move(stored.error()));
    co_return pending;
  }
  const std::size_t count = (size + kChunkBytes - 1) / kChunkBytes;
  if (count > kMaxChunks)
    co_return Fail(Errc::kTooLarge, "redis.max_content is larger than Lazaret can cut into chunks");
  const auto pending = std::make_shared<Pending>(
      *this, content->digest(), ContentPlace{.kind = ContentPlace::Kind::kChunks, .name = name, .chunks = count});
  auto stored = co_await StoreChunks(std::move(content), name, count);
  if (!stored) co_return std::unexpected(std::move(stored.error()));
  co_return pending;
}

aio::Task<Result<void>> JobContents::StoreChunks(ContentPtr content, std::string name, std::size_t count) {
  const ShardKeys& keys = calls_.keys(calls_.ShardOf(content->digest()));
  const std::int64_t ttl = calls_.settings().chunk_ttl.count();
  for (std::size_t first = 0; first < count; first += kWindow) {
    std::vector<Command> commands;
    for (std::size_t i = first; i < std::min(first + kWindow, count); ++i) {
      const std::uint64_t offset = std::uint64_t{i} * kChunkBytes;
      const std::size_t size = std::min<std::uint64_t>(kChunkBytes, content->size() - offset);
      auto bytes = co_await ReadPart(*content, offset, size, disk_);
      if (!bytes) co_return std::unexpected(std::move(bytes.error()));
      commands.push_back(Command::Of("SET", keys.Chunk(content->digest(), name, i), *bytes, "PX", ttl));
    }
    // Deep within a full pipeline a chunk may take its time: each window has its own.
    const redis::Client::Options options{.deadline = calls_.Deadline(), .repeat = redis::Repeat::kAllowed};
    auto replies = co_await calls_.client().CallAll(keys.stat(), std::move(commands), options);
    for (auto& reply : replies) {
      if (!reply) co_return std::unexpected(JobErrorOf(std::move(reply.error())));
    }
  }
  co_return Result<void>();
}

aio::Task<> JobContents::RemoveChunks(Digest id, ContentPlace place) {
  const ShardKeys& keys = calls_.keys(calls_.ShardOf(id));
  std::vector<Command> commands;
  for (std::size_t i = 0; i < place.chunks; ++i) commands.push_back({"UNLINK", keys.Chunk(id, place.name, i)});
  const redis::Client::Options options{.deadline = calls_.Deadline()};
  (void)co_await calls_.client().CallAll(keys.stat(), std::move(commands), options);
}

aio::Task<Result<ContentPtr>> JobContents::LoadChunks(const TakenJob& taken, const std::function<void()>& progress) {
  const ShardKeys& keys = calls_.keys(calls_.ShardOf(taken.id));
  const std::size_t count = taken.place.chunks;
  auto file = MakeMemoryFile();
  if (!file) co_return std::unexpected(std::move(file.error()));
  Sha256 hasher;
  std::uint64_t size = 0;
  SteadyTime told = std::chrono::steady_clock::now();
  for (std::size_t first = 0; first < count; first += kWindow) {
    std::vector<Command> commands;
    for (std::size_t i = first; i < std::min(first + kWindow, count); ++i) {
      commands.push_back({"GET", keys.Chunk(taken.id, taken.place.name, i)});
    }
    const redis::Client::Options options{.deadline = calls_.Deadline(), .repeat = redis::Repeat::kAllowed};
    auto replies = co_await calls_.client().CallAll(keys.stat(), std::move(commands), options);
    for (auto& reply : replies) {
      if (!reply) co_return std::unexpected(JobErrorOf(std::move(reply.error())));
      if (reply->kind() != redis::Reply::Kind::kBulk) co_return Lost(taken.id, "is gone");
      size += reply->text().size();
    }
    if (size > taken.size) co_return Lost(taken.id, "is longer than it was");
    auto written = co_await disk_.Run([&]() -> Result<void> {
      for (const auto& reply : replies) {
        hasher.Update(AsBytes(reply->text()));
        if (auto put = WriteAll(file->Get(), AsBytes(reply->text()), "keeping a content in memory"); !put) return put;
      }
      return {};
    });
    if (!written) co_return std::unexpected(std::move(written.error()));
    if (const SteadyTime now = std::chrono::steady_clock::now(); now - told > calls_.settings().policy.lease / 4) {
      progress();
      told = now;
    }
  }
  if (size != taken.size || hasher.Finish() != taken.id) co_return Lost(taken.id, "is not what was submitted");
  if (auto sealed = SealMemoryFile(file->Get()); !sealed) co_return std::unexpected(std::move(sealed.error()));
  co_return MakeFileContent(taken.id, taken.size, *std::move(file), disk_);
}

aio::Task<Result<ContentPtr>> JobContents::Load(TakenJob& taken, std::function<void()> progress) {
  switch (taken.place.kind) {
    case ContentPlace::Kind::kNowhere: break;
    case ContentPlace::Kind::kInline:
      if (taken.content.size() != taken.size || Sha256::Of(AsBytes(taken.content)) != taken.id) break;
      co_return MakeMemoryContent(taken.id, std::move(taken.content));
    case ContentPlace::Kind::kChunks: co_return co_await LoadChunks(taken, progress);
    case ContentPlace::Kind::kFile: {
      if (directory_ == nullptr) {
        co_return Fail(Errc::kUnavailable,
                       fmt::format("the content of job {} lies in the shared directory, and this node has none: "
                                   "configure redis.content_directory on all nodes",
                                   taken.id.Hex()));
      }
      const SharedFile file{taken.id, taken.place.name};
      co_return co_await disk_.Run([&] { return directory_->Load(file, taken.size, progress); });
    }
  }
  co_return Lost(taken.id, "is not what was submitted");
}

void JobContents::RemoveFiles(std::vector<std::string> files) {
  if (directory_ == nullptr) return;
  disk_.Post([directory = directory_, files = std::move(files)] {
    for (const std::string& text : files) {
      if (const auto file = SharedFile::Parse(text)) directory->Remove(*file);
    }
  });
}

aio::Task<Result<std::size_t>> JobContents::Sweep(std::filesystem::file_time_type before) {
  if (directory_ == nullptr) co_return 0;
  auto old = co_await disk_.Run([&] { return directory_->FindOld(before); });
  if (!old) co_return std::unexpected(std::move(old.error()));
  std::size_t removed = 0;
  for (const SharedFile& file : *old) {
    const ShardKeys& keys = calls_.keys(calls_.ShardOf(file.id));
    const std::string key = keys.Job(file.id);
    const redis::Client::Options options{.deadline = calls_.Deadline(), .repeat = redis::Repeat::kAllowed};
    redis::Command ask{"HGET", key, "place"};
    auto place = co_await calls_.client().Call(key, std::move(ask), options);
    if (!place) co_return std::unexpected(JobErrorOf(std::move(place.error())));
    if (place->text() == ContentPlace{.kind = ContentPlace::Kind::kFile, .name = file.name}.Text()) continue;
    RemoveFiles({file.Text()});
    ++removed;
  }
  co_return removed;
}

}  // namespace lazaret::fleet
