#include "spool/spool.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/memory_file.h"

namespace lazaret {
namespace {

// Up to this size a content is kept in the process's own memory: most requests are answered from the cache and never
// need a descriptor.
constexpr std::uint64_t kSmallBytes = 64 * 1024;
// Budgets are taken in steps, so that not every piece asks for them.
constexpr std::uint64_t kSmallStep = 4 * 1024;
constexpr std::uint64_t kMemoryStep = 64 * 1024;
constexpr std::uint64_t kMiddleStep = 1024 * 1024;
constexpr std::uint64_t kDiskStep = 16 * 1024 * 1024;

// On their way to the disk at a time, of 64 KiB at most: more than the threads there can take on, and 4 MiB in all.
constexpr std::size_t kTurns = 64;
constexpr std::uint64_t kPiece = 64 * 1024;

constexpr std::uint64_t RoundUp(std::uint64_t value, std::uint64_t step) { return (value + step - 1) / step * step; }

std::uint64_t MemoryFor(std::uint64_t size) { return RoundUp(size, size <= kSmallBytes ? kSmallStep : kMemoryStep); }

// A second descriptor of the same file that cannot write.
Result<UniqueFd> ReopenReadOnly(int fd) {
  UniqueFd read_only(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC));
  if (!read_only) return std::unexpected(SystemError("reopening a content for reading", errno));
  return read_only;
}

}  // namespace

class Spool::SpooledContent final : public Content {
 public:
  SpooledContent(Digest digest, std::uint64_t size, std::vector<std::byte> small, UniqueFd fd, Reservation memory,
                 Reservation disk, Reservation a_file, Spool& spool)
      : digest_(digest),
        size_(size),
        spool_(spool),
        small_(std::move(small)),
        memory_(std::move(memory)),
        disk_(std::move(disk)),
        a_file_(std::move(a_file)),
        fd_(std::move(fd)) {}
  ~SpooledContent() override {
    if (disk_.bytes() > 0) spool_.Close(std::move(fd_), std::move(disk_), std::move(a_file_));
  }

  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return size_; }

  Result<int> Descriptor() override {
    if (fd_) return fd_.Get();
    auto fd = MakeSealedMemoryFile(Bytes(small_));
    if (!fd) return std::unexpected(fd.error());
    fd_ = *std::move(fd);
    return fd_.Get();
  }
  Bytes InMemory() const override { return Bytes(small_); }

 private:
  const Digest digest_;
  const std::uint64_t size_;
  Spool& spool_;
  // Kept beside the descriptor, too: others may be reading it.
  const std::vector<std::byte> small_;
  // Given back after the descriptor is closed.
  Reservation memory_;
  Reservation disk_;
  Reservation a_file_;
  UniqueFd fd_;
};

namespace {

Error DiskFull(const Spool& spool) {
  return {Errc::kOverloaded, fmt::format("all {} bytes of disk for contents are in use (content.disk_budget)",
                                         spool.settings().disk_budget)};
}

Error TooManyFiles(const Spool& spool) {
  return {Errc::kOverloaded, fmt::format("{} contents are in files, as many as there are descriptors for; raise "
                                         "LimitNOFILE (systemd) or ulimit -n",
                                         spool.settings().max_files)};
}

Error TooLarge(const Spool& spool) {
  return {Errc::kTooLarge, fmt::format("the content is larger than the limit of {} bytes (content.max_size)",
                                       spool.settings().max_content)};
}

}  // namespace

Spool::Spool(SpoolSettings settings, UniqueFd directory, aio::BlockingPool& pool)
    : settings_(std::move(settings)),
      directory_(std::move(directory)),
      pool_(pool),
      budgets_(std::make_shared<Budgets>(settings_)),
      turns_(kTurns) {}

Result<std::unique_ptr<Spool>> Spool::Open(SpoolSettings settings, aio::BlockingPool& disk) {
  std::error_code failed;
  std::filesystem::create_directories(settings.directory, failed);
  const std::string& path = settings.directory.native();
  if (failed) {
    return Fail(
        Errc::kUnavailable,
        fmt::format("cannot create the content directory {}: {}; choose another with --data", path, failed.message()));
  }
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return std::unexpected(SystemError("opening the content directory " + path, errno));
  (void)::fchmod(directory.Get(), 0700);
  const UniqueFd probe(::openat(directory.Get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!probe) {
    return std::unexpected(
        SystemError(fmt::format("cannot create files in the content directory {} (a file system with O_TMPFILE is "
                                "needed: ext4, xfs, btrfs, tmpfs)",
                                path),
                    errno));
  }
  return std::unique_ptr<Spool>(new Spool(std::move(settings), std::move(directory), disk));
}

Result<void> Spool::CheckRoom(std::optional<std::uint64_t> size) const {
  const std::uint64_t bytes = size.value_or(0);
  if (bytes > settings_.max_content) return std::unexpected(TooLarge(*this));
  const std::uint64_t at_least = std::max<std::uint64_t>(bytes, 1);
  if (bytes <= settings_.memory_file_size && budgets_->memory.HasRoomFor(MemoryFor(at_least))) return {};
  if (!budgets_->disk.HasRoomFor(DiskFor(at_least))) return std::unexpected(DiskFull(*this));
  if (!budgets_->files.HasRoomFor(1)) return std::unexpected(TooManyFiles(*this));
  return {};
}

// Steps grow with the content: thousands of small ones must not take room that they do not need.
std::uint64_t Spool::DiskFor(std::uint64_t size) const {
  if (size <= settings_.memory_file_size) return RoundUp(size, kMemoryStep);
  return RoundUp(size, size <= kDiskStep ? kMiddleStep : kDiskStep);
}

SpoolWriter Spool::NewWriter(std::optional<std::uint64_t> expected_size) { return SpoolWriter(*this, expected_size); }

aio::Task<Result<DiskTurn>> Spool::TakeTurn(SteadyTime deadline) {
  auto turn = co_await turns_.Enter(deadline);
  if (turn) co_return *std::move(turn);
  const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != boost::asio::cancellation_type::none) {
    co_return Fail(Errc::kCancelled, "cancelled while waiting for the disk");
  }
  co_return Fail(Errc::kOverloaded, "too many contents are on their way to the disk");
}

void Spool::Close(UniqueFd fd, Reservation disk, Reservation a_file) {
  pool_.Post([budgets = budgets_, disk = std::move(disk), a_file = std::move(a_file), fd = std::move(fd)]() mutable {
    fd.Reset();
    disk.Release();
    a_file.Release();
  });
}

bool Spool::MayNeedTurn() const { return !budgets_->memory.HasRoomFor(MemoryFor(kPiece)); }

SpoolWriter::SpoolWriter(Spool& spool, std::optional<std::uint64_t> expected_size)
    : spool_(&spool),
      expected_size_(expected_size),
      to_file_(expected_size.value_or(0) > spool.settings_.memory_file_size),
      memory_(spool.budgets_->memory.Open()),
      disk_(spool.budgets_->disk.Open()),
      a_file_(spool.budgets_->files.Open()) {}

SpoolWriter::~SpoolWriter() {
  if (file_) spool_->Close(std::move(file_), std::move(disk_), std::move(a_file_));
}

std::optional<Result<void>> SpoolWriter::AppendNow(Bytes bytes) {
  if (bytes.size() > spool_->settings_.max_content - size_) return std::unexpected(TooLarge(*spool_));
  const std::uint64_t new_size = size_ + bytes.size();
  // What memory has no room for goes to the disk: many slow uploads must not keep others out.
  if (!to_file_) {
    to_file_ = new_size > spool_->settings_.memory_file_size || !memory_.GrowTo(MemoryFor(new_size));
  }
  if (to_file_) return std::nullopt;
  return AppendToMemory(bytes);
}

bool SpoolWriter::MayNeedTurn() const {
  std::uint64_t size = size_ + kPiece;
  if (expected_size_) size = std::clamp(*expected_size_, size_, size);
  if (to_file_ || size > spool_->settings_.memory_file_size) return true;
  const std::uint64_t memory = MemoryFor(size);
  return memory > memory_.bytes() && !spool_->budgets_->memory.HasRoomFor(memory - memory_.bytes());
}

aio::Task<Result<void>> SpoolWriter::Append(Bytes bytes, const DiskTurn& /*held*/) {
  if (auto done = AppendNow(bytes)) co_return *std::move(done);
  co_return co_await AppendToFile(bytes);
}

aio::Task<Result<void>> SpoolWriter::Append(Bytes bytes, SteadyTime deadline) {
  if (auto done = AppendNow(bytes)) co_return *std::move(done);
  const auto turn = co_await spool_->TakeTurn(deadline);
  if (!turn) co_return std::unexpected(turn.error());
  co_return co_await AppendToFile(bytes);
}

Result<void> SpoolWriter::AppendToMemory(Bytes bytes) {
  const std::uint64_t new_size = size_ + bytes.size();
  if (!memory_file_ && new_size > kSmallBytes) {
    if (auto moved = MoveToMemoryFile(); !moved) return moved;
  }
  if (memory_file_) {
    if (auto written = WriteAll(memory_file_.Get(), bytes, "writing a content to memory"); !written) return written;
  } else {
    // No more than was taken of the budget: growing by itself a vector takes up to twice as much.
    small_.reserve(MemoryFor(new_size));
    small_.insert(small_.end(), bytes.begin(), bytes.end());
  }
  hasher_.Update(bytes);
  size_ = new_size;
  return {};
}

Result<void> SpoolWriter::MoveToMemoryFile() {
  auto fd = MakeMemoryFile();
  if (!fd) return std::unexpected(fd.error());
  memory_file_ = *std::move(fd);
  auto written = WriteAll(memory_file_.Get(), Bytes(small_), "writing a content to memory");
  small_ = std::vector<std::byte>();  // {} would keep the memory
  return written;
}

aio::Task<Result<void>> SpoolWriter::AppendToFile(Bytes bytes) {
  const std::uint64_t new_size = size_ + bytes.size();
  if (!disk_.GrowTo(spool_->DiskFor(new_size))) co_return std::unexpected(DiskFull(*spool_));
  if (!a_file_.GrowTo(1)) co_return std::unexpected(TooManyFiles(*spool_));
  auto written = co_await spool_->pool_.Run([&]() -> Result<void> {
    if (!file_) {
      file_ = UniqueFd(::openat(spool_->directory_.Get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
      if (!file_) return std::unexpected(SystemError("creating a content file", errno));
      if (!small_.empty()) {
        if (auto moved = WriteAll(file_.Get(), Bytes(small_), "writing a content file"); !moved) return moved;
        small_ = std::vector<std::byte>();  // {} would keep the memory
      }
      off_t offset = 0;
      while (memory_file_ && static_cast<std::uint64_t>(offset) < size_) {
        if (::sendfile(file_.Get(), memory_file_.Get(), &offset, size_ - static_cast<std::uint64_t>(offset)) <= 0) {
          return std::unexpected(SystemError("writing a content file", errno));
        }
      }
      memory_file_.Reset();
    }
    hasher_.Update(bytes);
    return WriteAll(file_.Get(), bytes, "writing a content file");
  });
  memory_.Release();
  size_ = new_size;
  co_return written;
}

Result<ContentPtr> SpoolWriter::Finish() {
  UniqueFd fd;
  if (file_) {
    auto read_only = ReopenReadOnly(file_.Get());
    if (!read_only) return std::unexpected(read_only.error());
    fd = *std::move(read_only);
    file_.Reset();
  } else if (memory_file_) {
    if (auto sealed = SealMemoryFile(memory_file_.Get()); !sealed) return std::unexpected(sealed.error());
    fd = std::move(memory_file_);
  }
  return std::make_shared<Spool::SpooledContent>(hasher_.Finish(), size_, std::move(small_), std::move(fd),
                                                 std::move(memory_), std::move(disk_), std::move(a_file_), *spool_);
}

}  // namespace lazaret
