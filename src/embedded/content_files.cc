#include "embedded/content_files.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "core/stored_content.h"

namespace lazaret::embedded {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHexDigits = 2 * Digest::kSize;
constexpr std::size_t kNameSize = kHexDigits + 1 + 16;
constexpr std::size_t kReadStep = 1 << 20;
constexpr std::uint64_t kProgressStep = 64 << 20;

Result<std::uint64_t> RandomNumber() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number) return std::unexpected(SystemError("getrandom", errno));
  return number;
}

std::optional<ContentFileName> ParseName(std::string_view text) {
  if (text.size() != kNameSize || text[kHexDigits] != '.') return std::nullopt;
  const auto id = Digest::FromHex(text.substr(0, kHexDigits));
  if (!id) return std::nullopt;
  const std::string_view digits = text.substr(kHexDigits + 1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  const ContentFileName name{*id, number};
  return name.Text() == text ? std::optional(name) : std::nullopt;
}

// What a store of contents answers: a failure that is nobody's fault is one that may pass.
std::unexpected<Error> Unavailable(std::string_view doing, int number) {
  Error error = SystemError(doing, number);
  if (error.code == Errc::kInternal) error.code = Errc::kUnavailable;
  return std::unexpected(std::move(error));
}

}  // namespace

std::string ContentFileName::Text() const { return fmt::format("{}.{:016x}", id.Hex(), number); }

Result<std::unique_ptr<ContentFiles>> ContentFiles::Open(const fs::path& directory, aio::BlockingPool& pool) {
  std::error_code failed;
  const bool made = fs::create_directories(directory, failed);
  if (failed) {
    return Fail(Errc::kUnavailable,
                fmt::format("cannot create the directory {} for the contents of jobs: {}; make its parent writable for "
                            "the user that runs lazaret or configure another directory",
                            directory.native(), failed.message()));
  }
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Unavailable("opening the directory " + directory.native(), errno);
  if (made) {
    // For others, contents are none of their business.
    (void)::fchmod(fd.Get(), 0700);
    const UniqueFd parent(::openat(fd.Get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent || ::fsync(parent.Get()) != 0) return Unavailable("syncing the parent of " + directory.native(), errno);
  }
  const UniqueFd probe(::openat(fd.Get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!probe) {
    const int number = errno;
    return Unavailable(
        fmt::format("cannot create files in the directory {} for the contents of jobs (it must be writable for the "
                    "user that runs lazaret, on a file system with O_TMPFILE: ext4, xfs, btrfs, tmpfs)",
                    directory.native()),
        number);
  }
  return std::unique_ptr<ContentFiles>(new ContentFiles(directory, std::move(fd), pool));
}

std::string ContentFiles::Describe(const ContentFileName& name) const { return (path_ / name.Text()).native(); }

bool ContentFiles::CanBeLinked(int fd, std::uint64_t size) const {
  struct stat file{};
  struct stat here{};
  // Nobody else may have a name for it: through that they could change it.
  return ::fstat(fd, &file) == 0 && ::fstat(directory_->Get(), &here) == 0 && S_ISREG(file.st_mode) &&
         file.st_nlink == 0 && file.st_dev == here.st_dev && static_cast<std::uint64_t>(file.st_size) == size;
}

int ContentFiles::Link(int fd, const ContentFileName& name) const {
  const std::string from = fmt::format("/proc/self/fd/{}", fd);
  if (::linkat(AT_FDCWD, from.c_str(), directory_->Get(), name.Text().c_str(), AT_SYMLINK_FOLLOW) == 0) return 0;
  return errno;
}

Result<UniqueFd> ContentFiles::Copy(int fd, std::uint64_t size) const {
  const std::string doing = fmt::format("writing a content to {}", path_.native());
  UniqueFd copy(::openat(directory_->Get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!copy) return Unavailable(doing, errno);
  // Best effort: a disk that is full says so before the work.
  if (::fallocate(copy.Get(), 0, 0, static_cast<off_t>(size)) != 0 && errno == ENOSPC) return Unavailable(doing, errno);
  off_t offset = 0;
  while (static_cast<std::uint64_t>(offset) < size) {
    const ssize_t sent = ::sendfile(copy.Get(), fd, &offset, size - static_cast<std::uint64_t>(offset));
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return Unavailable(doing, errno);
    if (sent == 0) return Fail(Errc::kInternal, fmt::format("{}: it is shorter than it should be", doing));
  }
  if (::fdatasync(copy.Get()) != 0) return Unavailable(doing, errno);
  return copy;
}

Result<std::shared_ptr<ContentFiles::Pending>> ContentFiles::Store(const Digest& id, int fd, std::uint64_t size) const {
  const auto number = RandomNumber();
  if (!number) return std::unexpected(number.error());
  const auto pending = std::make_shared<Pending>(*this, ContentFileName{id, *number});
  int failed = EXDEV;
  if (CanBeLinked(fd, size) && ::fdatasync(fd) == 0) failed = Link(fd, pending->name());
  if (failed != 0) {
    // Also a file that had a name before: it cannot get another one (ENOENT).
    const auto copy = Copy(fd, size);
    if (!copy) return std::unexpected(copy.error());
    failed = Link(copy->Get(), pending->name());
  }
  if (failed == 0 && ::fsync(directory_->Get()) != 0) failed = errno;
  if (failed != 0) return Unavailable("writing " + Describe(pending->name()), failed);
  return pending;
}

Result<ContentPtr> ContentFiles::Load(const ContentFileName& name, std::uint64_t size,
                                      const std::function<void()>& progress) const {
  const auto corrupt = [&](std::string_view why) {
    return Fail(Errc::kCorrupt, fmt::format("the stored content {} {}", Describe(name), why));
  };
  UniqueFd fd(::openat(directory_->Get(), name.Text().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) {
    const int number = errno;
    if (number == ENOENT) return corrupt("is gone");
    if (number == ELOOP) return corrupt("is no file");
    return Unavailable("opening " + Describe(name), number);
  }
  struct stat file{};
  if (::fstat(fd.Get(), &file) != 0 || !S_ISREG(file.st_mode)) return corrupt("is no file");
  if (static_cast<std::uint64_t>(file.st_size) != size) {
    return corrupt(fmt::format("has {} bytes, not {}", file.st_size, size));
  }
  (void)::posix_fadvise(fd.Get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  Sha256 hasher;
  std::vector<std::byte> buffer(std::min<std::uint64_t>(size, kReadStep));
  std::uint64_t next_progress = kProgressStep;
  for (std::uint64_t done = 0; done < size;) {
    const ssize_t got = ::pread(fd.Get(), buffer.data(), buffer.size(), static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return corrupt("cannot be read: " + std::generic_category().message(errno));
    if (got == 0) return corrupt("became shorter");
    hasher.Update(Bytes(buffer).first(static_cast<std::size_t>(got)));
    done += static_cast<std::uint64_t>(got);
    if (done >= next_progress) {
      progress();
      next_progress = done + kProgressStep;
    }
  }
  if (hasher.Finish() != name.id) return corrupt("was changed: its digest is another");
  return MakeFileContent(name.id, size, std::move(fd), pool_);
}

void ContentFiles::Remove(const ContentFileName& name) const {
  // What is left when this fails, or comes too late, is deleted at the next start.
  pool_.Post([directory = directory_, text = name.Text()] { (void)::unlinkat(directory->Get(), text.c_str(), 0); });
}

Result<std::size_t> ContentFiles::RemoveUnwanted(
    const std::function<Result<bool>(const ContentFileName&)>& wanted) const {
  std::size_t removed = 0;
  std::error_code failed;
  for (fs::directory_iterator entry(path_, failed), end; !failed && entry != end; entry.increment(failed)) {
    const auto name = ParseName(entry->path().filename().native());
    if (!name) continue;
    const auto keep = wanted(*name);
    if (!keep) return std::unexpected(keep.error());
    if (*keep) continue;
    if (::unlinkat(directory_->Get(), name->Text().c_str(), 0) != 0 && errno != ENOENT) {
      return Unavailable("deleting " + Describe(*name), errno);
    }
    ++removed;
  }
  if (failed) return Fail(Errc::kUnavailable, fmt::format("reading {}: {}", path_.native(), failed.message()));
  return removed;
}

}  // namespace lazaret::embedded
