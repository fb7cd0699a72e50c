#include "chaos/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/unique_fd.h"

namespace lazaret::tests {

SmallDisk::SmallDisk(std::filesystem::path path, std::uint64_t bytes) : path_(std::move(path)) {
  std::filesystem::create_directories(path_);
  const std::string options = fmt::format("size={},mode=0755", bytes);
  is_mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
}

SmallDisk::~SmallDisk() {
  // Detached at once, gone when the server has ended.
  if (is_mounted_) ::umount2(path_.c_str(), MNT_DETACH);
}

std::uint64_t SmallDisk::FreeBytes() const {
  struct statvfs status{};
  if (::statvfs(path_.c_str(), &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

void SmallDisk::Take(std::uint64_t bytes) const {
  const UniqueFd file(::open(Filler().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const std::string block(4096, 'f');
  for (std::uint64_t taken = 0; taken < bytes && ::write(file.Get(), block.data(), block.size()) > 0;) {
    taken += block.size();
  }
}

void SmallDisk::Relieve() const { std::filesystem::remove(Filler()); }

}  // namespace lazaret::tests
