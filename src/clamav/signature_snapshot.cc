#include "clamav/signature_snapshot.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "clamav/signature_files.h"

namespace lazaret::clamav {
namespace {

namespace fs = std::filesystem;

Error FileSystemError(std::string_view doing, const std::error_code& failed) {
  return SystemError(doing, failed.value());
}

// The directory that is being filled. Removed at its end unless it was sealed.
class Incoming {
 public:
  explicit Incoming(fs::path path) : path_(std::move(path)) {}
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;
  ~Incoming() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  Result<void> Make() const {
    std::error_code failed;
    fs::remove_all(path_, failed);
    fs::create_directories(path_, failed);
    if (failed) return std::unexpected(FileSystemError("creating " + path_.native(), failed));
    // The scanners may run as another user.
    (void)::chmod(path_.parent_path().c_str(), 0755);
    (void)::chmod(path_.c_str(), 0755);
    return {};
  }

  Result<SignatureSnapshot> Seal(const fs::path& into) const {
    const auto set = DigestFiles(path_);
    if (!set) return std::unexpected(set.error());
    const fs::path directory = into / set->digest.Hex();
    std::error_code failed;
    fs::remove_all(directory, failed);  // an older one of the same set, which may have been written into
    fs::rename(path_, directory, failed);
    if (failed) return std::unexpected(FileSystemError("naming the signature snapshot " + directory.native(), failed));
    return SignatureSnapshot{directory, set->digest, set->files, set->bytes, false};
  }

  const fs::path& path() const { return path_; }

 private:
  const fs::path path_;
};

Result<void> LinkOrCopy(const fs::path& from, const fs::path& to, SnapshotBy by) {
  std::error_code failed = std::make_error_code(std::errc::operation_not_supported);
  if (by == SnapshotBy::kLinks) {
    // A link to a symbolic link would lead nowhere from here.
    const fs::path file = fs::canonical(from, failed);
    if (!failed) fs::create_hard_link(file, to, failed);
  }
  // Another file system, or a file of somebody else (proc(5), fs.protected_hardlinks).
  if (failed) {
    fs::copy_file(from, to, failed);
    // The age of a set without dated databases is that of its files.
    std::error_code ignored;
    const auto written = fs::last_write_time(from, ignored);
    if (!failed && !ignored) fs::last_write_time(to, written, ignored);
  }
  if (!failed) return {};
  if (failed == std::errc::no_such_file_or_directory) {
    return Fail(Errc::kCorrupt, fmt::format("{} vanished while the signatures were copied", from.native()));
  }
  return std::unexpected(FileSystemError(fmt::format("copying {} to {}", from.native(), to.native()), failed));
}

}  // namespace

Result<SignatureSnapshot> TakeSnapshot(const fs::path& source, const fs::path& into, SnapshotBy by) {
  const auto before = MarkFiles(source);
  if (!before) {
    return Fail(Errc::kNotFound, fmt::format("{}; name another with --signatures, or get signatures with freshclam",
                                             before.error().what));
  }
  if (before->empty()) {
    return Fail(Errc::kNotFound, fmt::format("no signatures in {}: run freshclam, name another directory with "
                                             "--signatures, or try Lazaret out with --test-signatures",
                                             source.native()));
  }
  const Incoming incoming(into / "incoming");
  if (auto made = incoming.Make(); !made) return std::unexpected(made.error());
  for (const FileMark& mark : *before) {
    if (auto done = LinkOrCopy(source / mark.name, incoming.path() / mark.name, by); !done) {
      return std::unexpected(done.error());
    }
  }
  const auto after = MarkFiles(source);
  if (!after || !SameContent(*before, *after)) {
    return Fail(Errc::kCorrupt, fmt::format("the files in {} were changed while they were copied", source.native()));
  }
  return incoming.Seal(into);
}

Result<SignatureSnapshot> MakeTestSnapshot(const fs::path& into) {
  const Incoming incoming(into / "incoming");
  if (auto made = incoming.Make(); !made) return std::unexpected(made.error());
  std::string signature = "Eicar-Test-Signature:0:*:";
  for (const char c : EicarTestFile()) signature += fmt::format("{:02x}", static_cast<unsigned char>(c));
  const fs::path path = incoming.path() / "eicar.ndb";
  std::ofstream file(path);
  file << signature << '\n';
  file.close();
  if (!file) return Fail(Errc::kUnavailable, fmt::format("cannot write the test signatures to {}", path.native()));
  (void)::chmod(path.c_str(), 0644);
  auto snapshot = incoming.Seal(into);
  if (snapshot) snapshot->test_set = true;
  return snapshot;
}

Result<void> CheckUnchanged(const SignatureSnapshot& snapshot) {
  const auto set = DigestFiles(snapshot.directory);
  if (!set) return std::unexpected(set.error());
  if (set->digest != snapshot.digest) {
    return Fail(Errc::kCorrupt,
                "a signature file was written into after it had been read: replace files, as freshclam does");
  }
  return {};
}

std::string EicarTestFile() {
  return std::string("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-") + "ANTIVIRUS-TEST-FILE!$H+H*";
}

}  // namespace lazaret::clamav
