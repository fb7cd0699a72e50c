#include "fleet/content_directory.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "core/stored_content.h"
#include "fleet/content_place.h"

namespace lazaret::fleet {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadStep = 1 << 20;
constexpr std::uint64_t kProgressStep = 64 << 20;
constexpr std::string_view kUnfinished = ".tmp";

// A failure of the disk that nobody expects may pass: the store is not there now.
std::unexpected<Error> Unavailable(const std::string& doing, int number) {
  Error error = SystemError(doing, number);
  if (error.code == Errc::kInternal) error.code = Errc::kUnavailable;
  return std::unexpected(std::move(error));
}

// 0 or an errno.
int Copy(int from, int to, std::uint64_t size) {
  off_t offset = 0;
  while (static_cast<std::uint64_t>(offset) < size) {
    const ssize_t sent = ::sendfile(to, from, &offset, size - static_cast<std::uint64_t>(offset));
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno;
    if (sent == 0) return ENODATA;
  }
  return ::fsync(to) == 0 ? 0 : errno;
}

int SyncDirectory(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd && ::fsync(fd.Get()) == 0 ? 0 : errno;
}

}  // namespace

std::string SharedFile::Text() const { return id.Hex() + '.' + name; }

std::optional<SharedFile> SharedFile::Parse(std::string_view text) {
  constexpr std::size_t kDigits = 2 * Digest::kSize;
  if (text.size() <= kDigits || text[kDigits] != '.') return std::nullopt;
  const auto id = Digest::FromHex(text.substr(0, kDigits));
  const auto place = ContentPlace::Parse("f:" + std::string(text.substr(kDigits + 1)));
  if (!id || !place) return std::nullopt;
  return SharedFile{*id, place->name};
}

Result<std::unique_ptr<ContentDirectory>> ContentDirectory::Open(const fs::path& directory, aio::BlockingPool& pool) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed || ::access(directory.c_str(), W_OK | X_OK) != 0) {
    const int number = failed ? failed.value() : errno;
    return Unavailable(fmt::format("using the shared content directory {} (it must be writable for the user that runs "
                                   "lazaret, on every node)",
                                   directory.native()),
                       number);
  }
  return std::unique_ptr<ContentDirectory>(new ContentDirectory(directory, pool));
}

fs::path ContentDirectory::PathOf(const SharedFile& file) const {
  const std::string text = file.Text();
  return path_ / text.substr(0, 2) / text;
}

Result<void> ContentDirectory::Store(const SharedFile& file, int fd, std::uint64_t size) const {
  const fs::path path = PathOf(file);
  const fs::path unfinished = path.native() + std::string(kUnfinished);
  const std::string doing = "writing " + path.native();
  std::error_code failed;
  const bool made = fs::create_directory(path.parent_path(), failed);
  if (failed) return Unavailable(doing, failed.value());
  if (made && SyncDirectory(path_) != 0) return Unavailable(doing, errno);
  const UniqueFd copy(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  int number = copy ? Copy(fd, copy.Get(), size) : errno;
  if (number == 0 && ::rename(unfinished.c_str(), path.c_str()) != 0) number = errno;
  if (number == 0) number = SyncDirectory(path.parent_path());
  if (number == 0) return {};
  (void)::unlink(unfinished.c_str());
  (void)::unlink(path.c_str());
  return Unavailable(doing, number);
}

Result<ContentPtr> ContentDirectory::Load(const SharedFile& file, std::uint64_t size,
                                          const std::function<void()>& progress) const {
  const fs::path path = PathOf(file);
  const auto corrupt = [&](std::string_view why) {
    return Fail(Errc::kCorrupt, fmt::format("the stored content {} {}", path.native(), why));
  };
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) {
    const int number = errno;
    // A directory that is not mounted is not a content that is lost.
    if (number == ENOENT && fs::exists(path.parent_path())) return corrupt("is gone");
    if (number == ELOOP) return corrupt("is no file");
    return Unavailable("opening " + path.native(), number);
  }
  struct stat facts{};
  if (::fstat(fd.Get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return corrupt("is no file");
  if (static_cast<std::uint64_t>(facts.st_size) != size) {
    return corrupt(fmt::format("has {} bytes, not {}", facts.st_size, size));
  }
  (void)::posix_fadvise(fd.Get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  Sha256 hasher;
  std::vector<std::byte> buffer(std::min<std::uint64_t>(size, kReadStep));
  std::uint64_t next_progress = kProgressStep;
  for (std::uint64_t done = 0; done < size;) {
    const ssize_t got = ::pread(fd.Get(), buffer.data(), buffer.size(), static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unavailable("reading " + path.native(), errno);
    if (got == 0) return corrupt("became shorter");
    hasher.Update(Bytes(buffer).first(static_cast<std::size_t>(got)));
    done += static_cast<std::uint64_t>(got);
    if (done >= next_progress) {
      progress();
      next_progress = done + kProgressStep;
    }
  }
  if (hasher.Finish() != file.id) return corrupt("was changed: its digest is another");
  return MakeFileContent(file.id, size, std::move(fd), pool_);
}

void ContentDirectory::Remove(const SharedFile& file) const { (void)::unlink(PathOf(file).c_str()); }

Result<std::vector<SharedFile>> ContentDirectory::FindOld(fs::file_time_type before) const {
  std::vector<SharedFile> found;
  std::error_code failed;
  fs::recursive_directory_iterator entry(path_, failed);
  for (const fs::recursive_directory_iterator end; !failed && entry != end; entry.increment(failed)) {
    std::error_code gone;  // deleted by another node meanwhile
    if (!entry->is_regular_file(gone) || gone) continue;
    const auto written = entry->last_write_time(gone);
    if (gone || written >= before) continue;
    std::string name = entry->path().filename().native();
    const bool unfinished = name.ends_with(kUnfinished);
    if (unfinished) name.resize(name.size() - kUnfinished.size());
    const auto file = SharedFile::Parse(name);
    if (!file) continue;
    if (unfinished) {
      fs::remove(entry->path(), gone);
    } else {
      found.push_back(*file);
    }
  }
  if (failed) return Unavailable("reading " + path_.native(), failed.value());
  return found;
}

}  // namespace lazaret::fleet
