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
    ".cvd", ".cld", ".cud", ".cat", ".crb", ".idb",  ".ioc", ".yar",  ".yara", ".pwdb", ".ign", ".ign2", ".imp"};

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

Result<SignatureSnapshot> Seal(const fs::path& incoming, const fs::path& into) {
  std::map<std::string, FileDigest> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(incoming)) {
    auto digest = DigestFile(entry.path());
    if (!digest) return std::unexpected(digest.error());
    files.emplace(entry.path().filename().native(), *digest);
  }
  std::string manifest = "lazaret signature set 1\n";
  for (const auto& [name, file] : files) manifest += fmt::format("{} {} {}\n", file.digest.Hex(), file.size, name);
  const Digest digest = Sha256::Of(AsBytes(manifest));
  const fs::path directory = into / digest.Hex();
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(into, failed)) {
    if (entry.path() != incoming) fs::remove_all(entry.path(), failed);
  }
  fs::rename(incoming, directory, failed);
  if (failed) return std::unexpected(FileSystemError("naming the signature snapshot " + directory.native(), failed));
  return SignatureSnapshot{directory, digest, files.size(), false};
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
  const std::string extension = name.extension().native();
  return std::ranges::any_of(kDatabaseExtensions, [&](std::string_view known) { return extension == known; });
}

Result<SignatureSnapshot> TakeSnapshot(const fs::path& source, const fs::path& into) {
  std::error_code failed;
  std::vector<fs::path> databases;
  for (const fs::directory_entry& entry : fs::directory_iterator(source, failed)) {
    std::error_code unreadable;
    if (entry.is_regular_file(unreadable) && IsDatabaseFile(entry.path().filename())) databases.push_back(entry.path());
  }
  if (failed) {
    return Fail(Errc::kNotFound, fmt::format("cannot read the signature directory {}: {}; name another with "
                                             "--signatures, or get signatures with freshclam",
                                             source.native(), failed.message()));
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
    fs::create_hard_link(database, copy, failed);
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
  auto snapshot = Seal(*incoming, into);
  if (snapshot) snapshot->test_set = true;
  return snapshot;
}

}  // namespace lazaret::clamav
