#include "base/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace lazaret {

Result<UniqueFd> MakeMemoryFile() {
  UniqueFd fd(::memfd_create("lazaret-content", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return std::unexpected(SystemError("memfd_create", errno));
  return fd;
}

Result<void> WriteAll(int fd, Bytes bytes, std::string_view doing) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return std::unexpected(SystemError(doing, errno));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> SealMemoryFile(int fd) {
  // Not F_SEAL_WRITE: it waits up to 166 ms for whoever in the kernel holds one of the pages, and fails then (EBUSY).
  // It differs for mappings that can be written already, of which there are none.
  if (::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) {
    return std::unexpected(SystemError("sealing a content", errno));
  }
  return {};
}

Result<UniqueFd> MakeSealedMemoryFile(Bytes bytes) {
  auto fd = MakeMemoryFile();
  if (!fd) return fd;
  if (auto written = WriteAll(fd->Get(), bytes, "writing a content to memory"); !written) {
    return std::unexpected(written.error());
  }
  if (auto sealed = SealMemoryFile(fd->Get()); !sealed) return std::unexpected(sealed.error());
  return fd;
}

}  // namespace lazaret
