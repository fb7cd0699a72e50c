#include "clamav/signature_snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/unique_fd.h"

namespace lazaret::clamav {
namespace {

namespace fs = std::filesystem;

constexpr std::array kDatabaseExtensions = {
    ".db",  ".hdb", ".hdu", ".fp",  ".mdb", ".mdu",  ".hsb", ".hsu",  ".sfp", ".msb", ".msu", ".ndb",
    ".ndu", ".ldb", ".ldu", ".sdb", ".zmd", ".rmd",  ".pdb", ".gdb",  ".wdb", ".cbc", ".ftm", ".cfg",
    ".cdb", ".cvd", ".cld", ".cud", ".cat", ".crb", ".idb",  ".ioc", ".yar",  ".yara", ".pwdb", ".ign", ".ign2", ".imp"};

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

Error FileSystemError(std::string_view doing, const std::error_code& failed) {
  return SystemError(doing, failed.value());
}

Result<std::vector<fs::path>> ListDirectory(const fs::path& directory) {
  std::vector<fs::path> entries;
  std::error_code failed;
  for (fs::directory_iterator entry(directory, failed), end; !failed && entry != end; entry.increment(failed)) {
    entries.push_back(entry->path());
  }
  if (failed) return std::unexpected(FileSystemError("reading the directory " + directory.native(), failed));
  return entries;
}

struct SetDigest {
  Digest digest;
  std::size_t files;
};

Result<SetDigest> DigestSet(const fs::path& directory) {
  const auto entries = ListDirectory(directory);
  if (!entries) return std::unexpected(entries.error());
  std::map<std::string, FileDigest> files;
  for (const fs::path& path : *entries) {
    auto digest = DigestFile(path);
    if (!digest) return std::unexpected(digest.error());
    files.emplace(path.filename().native(), *digest);
  }
  std::string manifest = "lazaret signature set 1\n";
  for (const auto& [name, file] : files) manifest += fmt::format("{} {} {}\n", file.digest.Hex(), file.size, name);
  return SetDigest{Sha256::Of(AsBytes(manifest)), files.size()};
}

Result<SignatureSnapshot> Seal(const fs::path& incoming, const fs::path& into) {
  const auto set = DigestSet(incoming);
  if (!set) return std::unexpected(set.error());
  const auto others = ListDirectory(into);
  if (!others) return std::unexpected(others.error());
  std::error_code failed;
  for (const fs::path& path : *others) {
    if (path != incoming) fs::remove_all(path, failed);
  }
  const fs::path directory = into / set->digest.Hex();
  fs::rename(incoming, directory, failed);
  if (failed) return std::unexpected(FileSystemError("naming the signature snapshot " + directory.native(), failed));
  return SignatureSnapshot{directory, set->digest, set->files, false};
}

Result<fs::path> MakeIncoming(const fs::path& into) {
  const fs::path incoming = into / "incoming";
  std::error_code failed;
  fs::remove_all(incoming, failed);
  fs::create_directories(incoming, failed);
  if (failed) return std::unexpected(FileSystemError("creating " + incoming.native(), failed));
  // The scanners may run as another user.
  (void)::chmod(into.c_str(), 0755);
  (void)::chmod(incoming.c_str(), 0755);
  return incoming;
}

std::string Eicar() {
  return std::string("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-") + "ANTIVIRUS-TEST-FILE!$H+H*";
}

}  // namespace

bool IsDatabaseFile(const fs::path& name) {
  std::string extension = name.extension().native();
  std::ranges::transform(extension, extension.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; });
  return std::ranges::any_of(kDatabaseExtensions, [&](std::string_view known) { return extension == known; });
}

Result<SignatureSnapshot> TakeSnapshot(const fs::path& source, const fs::path& into) {
  const auto entries = ListDirectory(source);
  if (!entries) {
    return Fail(Errc::kNotFound, fmt::format("{}; name another with --signatures, or get signatures with freshclam",
                                             entries.error().what));
  }
  std::error_code failed;
  std::vector<fs::path> databases;
  for (const fs::path& path : *entries) {
    if (IsDatabaseFile(path.filename()) && fs::is_regular_file(path, failed)) databases.push_back(path);
  }
  if (databases.empty()) {
    return Fail(Errc::kNotFound, fmt::format("no signatures in {}: run freshclam, name another directory with "
                                             "--signatures, or try Lazaret out with --test-signatures",
                                             source.native()));
  }
  const auto incoming = MakeIncoming(into);
  if (!incoming) return std::unexpected(incoming.error());
  for (const fs::path& database : databases) {
    const fs::path copy = *incoming / database.filename();
    // A link to a symbolic link would lead nowhere from here.
    const fs::path file = fs::canonical(database, failed);
    if (!failed) fs::create_hard_link(file, copy, failed);
    // Another file system, or a file of somebody else (proc(5), fs.protected_hardlinks).
    if (failed) fs::copy_file(database, copy, failed);
    if (failed) {
      return std::unexpected(
          FileSystemError(fmt::format("copying {} to {}", database.native(), copy.native()), failed));
    }
  }
  return Seal(*incoming, into);
}

Result<SignatureSnapshot> MakeTestSnapshot(const fs::path& into) {
  const auto incoming = MakeIncoming(into);
  if (!incoming) return std::unexpected(incoming.error());
  std::string signature = "Eicar-Test-Signature:0:*:";
  for (const char c : Eicar()) signature += fmt::format("{:02x}", static_cast<unsigned char>(c));
  std::ofstream file(*incoming / "eicar.ndb");
  file << signature << '\n';
  file.close();
  if (!file) return Fail(Errc::kUnavailable, fmt::format("cannot write the test signatures to {}", incoming->native()));
  (void)::chmod((*incoming / "eicar.ndb").c_str(), 0644);
  auto snapshot = Seal(*incoming, into);
  if (snapshot) snapshot->test_set = true;
  return snapshot;
}

Result<void> CheckUnchanged(const SignatureSnapshot& snapshot) {
  const auto set = DigestSet(snapshot.directory);
  if (!set) return std::unexpected(set.error());
  if (set->digest != snapshot.digest) {
    return Fail(Errc::kUnavailable, "a signature file was changed in place while it was loaded: replace files, as "
                                    "freshclam does, do not write into them");
  }
  return {};
}

}  // namespace lazaret::clamav
