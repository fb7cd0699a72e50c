#include "main/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

#include <fmt/format.h>

namespace lazaret {

Result<DataDirectory> DataDirectory::Open(const std::filesystem::path& path) {
  std::error_code failed;
  const auto absolute = std::filesystem::absolute(path, failed);
  const bool is_new = std::filesystem::create_directories(absolute, failed);
  // Without private mounts the scanners' user has to go through it; what lies in it is nobody's business.
  if (is_new) (void)::chmod(absolute.c_str(), 0711);
  if (failed) {
    return Fail(Errc::kUnavailable, fmt::format("cannot create the data directory {}: {}; choose another with --data",
                                                absolute.native(), failed.message()));
  }
  const auto lock_path = absolute / "lock";
  UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) {
    return Fail(Errc::kUnavailable,
                fmt::format("{}; run as a user that may write there, or choose another with --data",
                            SystemError("cannot write to the data directory " + absolute.native(), errno).what));
  }
  if (::flock(lock.Get(), LOCK_EX | LOCK_NB) != 0) {
    return Fail(Errc::kUnavailable, fmt::format("another server uses the data directory {}: end it, or choose another "
                                                "directory with --data",
                                                absolute.native()));
  }
  return DataDirectory(absolute, std::move(lock));
}

}  // namespace lazaret
