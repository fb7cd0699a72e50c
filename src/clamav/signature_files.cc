#include "clamav/signature_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "base/unique_fd.h"

namespace lazaret::clamav {
namespace {

namespace fs = std::filesystem;

constexpr std::array kDatabaseExtensions = {
    ".db",  ".hdb", ".hdu", ".fp",  ".mdb", ".mdu", ".hsb", ".hsu",  ".sfp",  ".msb", ".msu",  ".ndb", ".ndu",
    ".ldb", ".ldu", ".sdb", ".zmd", ".rmd", ".pdb", ".gdb", ".wdb",  ".cbc",  ".ftm", ".cfg",  ".cdb", ".cvd",
    ".cld", ".cud", ".cat", ".crb", ".idb", ".ioc", ".yar", ".yara", ".pwdb", ".ign", ".ign2", ".imp"};

std::int64_t Nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

struct FileDigest {
  std::uint64_t size;
  Digest digest;
};

Result<FileDigest> DigestFile(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::unexpected(SystemError("reading " + path.native(), errno));
  (void)::posix_fadvise(fd.Get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  Sha256 hasher;
  std::vector<std::byte> buffer(1 << 20);
  std::uint64_t size = 0;
  for (;;) {
    const ssize_t n = ::read(fd.Get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::unexpected(SystemError("reading " + path.native(), errno));
    if (n == 0) return FileDigest{size, hasher.Finish()};
    hasher.Update(Bytes(buffer).first(static_cast<std::size_t>(n)));
    size += static_cast<std::uint64_t>(n);
  }
}

}  // namespace

bool FileMark::HasSameContentAs(const FileMark& other) const {
  FileMark same = other;
  same.changed_ns = changed_ns;
  return *this == same;
}

bool IsDatabaseFile(const fs::path& name) {
  std::string extension = name.extension().native();
  std::ranges::transform(extension, extension.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; });
  return std::ranges::any_of(kDatabaseExtensions, [&](std::string_view known) { return extension == known; });
}

Result<FileMarks> MarkFiles(const fs::path& directory) {
  FileMarks marks;
  std::error_code failed;
  for (fs::directory_iterator entry(directory, failed), end; !failed && entry != end; entry.increment(failed)) {
    const fs::path& path = entry->path();
    struct stat info{};
    if (!IsDatabaseFile(path.filename()) || ::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    marks.push_back({path.filename().native(), info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size),
                     Nanoseconds(info.st_mtim), Nanoseconds(info.st_ctim)});
  }
  if (failed) {
    return Fail(Errc::kNotFound, SystemError("reading the directory " + directory.native(), failed.value()).what);
  }
  std::ranges::sort(marks, {}, &FileMark::name);
  return marks;
}

bool SameContent(const FileMarks& a, const FileMarks& b) {
  return std::ranges::equal(a, b, [](const FileMark& x, const FileMark& y) { return x.HasSameContentAs(y); });
}

std::optional<WallTime> NewestTime(const FileMarks& marks) {
  if (marks.empty()) return std::nullopt;
  const std::int64_t newest = std::ranges::max(marks, {}, &FileMark::modified_ns).modified_ns;
  return WallTime(std::chrono::floor<milliseconds>(std::chrono::nanoseconds(newest)));
}

bool IsWrittenInto(const FileMarks& before, const FileMarks& after) {
  return std::ranges::any_of(after, [&](const FileMark& now) {
    const auto then = std::ranges::find(before, now.name, &FileMark::name);
    // A new file may get the number of one that is gone, but not of one that a snapshot still links to.
    return then != before.end() && then->device == now.device && then->inode == now.inode &&
           !now.HasSameContentAs(*then);
  });
}

Result<FilesDigest> DigestFiles(const fs::path& directory) {
  const auto marks = MarkFiles(directory);
  if (!marks) return std::unexpected(marks.error());
  std::string manifest = "lazaret signature set 1\n";
  std::uint64_t bytes = 0;
  for (const FileMark& mark : *marks) {
    const auto file = DigestFile(directory / mark.name);
    if (!file) return std::unexpected(file.error());
    manifest += fmt::format("{} {} {}\n", file->digest.Hex(), file->size, mark.name);
    bytes += file->size;
  }
  return FilesDigest{Sha256::Of(AsBytes(manifest)), marks->size(), bytes};
}

}  // namespace lazaret::clamav
