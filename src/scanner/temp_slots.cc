#include "scanner/temp_slots.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string_view>

#include "base/unique_fd.h"

namespace lazaret::scanner {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

// An independent reader: rewinding it leaves `fd` alone.
Directory Read(int fd) {
  const int copy = ::openat(fd, ".", kOpenDirectory);
  DIR* directory = copy >= 0 ? ::fdopendir(copy) : nullptr;
  if (directory == nullptr && copy >= 0) ::close(copy);
  return Directory(directory, &::closedir);
}

const char* NextName(DIR* directory) {
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return entry->d_name;
  }
  return nullptr;
}

// Opens a directory even when its owner has taken the permissions away.
UniqueFd OpenChild(int parent, const char* name) {
  int fd = ::openat(parent, name, kOpenDirectory);
  if (fd < 0 && errno == EACCES) {
    struct stat info;
    if (::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode) &&
        ::fchmodat(parent, name, S_IRWXU, 0) == 0) {
      fd = ::openat(parent, name, kOpenDirectory);
    }
  }
  return UniqueFd(fd);
}

// Moving a directory writes to it (its "..").
bool MoveUp(int from, const char* name, int to, const std::string& target) {
  if (::renameat(from, name, to, target.c_str()) == 0) return true;
  return errno == EACCES && ::fchmodat(from, name, S_IRWXU, 0) == 0 && ::renameat(from, name, to, target.c_str()) == 0;
}

// Removes the files in `child` and moves its directories up into `root`, so that no depth costs stack or descriptors.
// False when nothing could be done.
bool Flatten(int root, int child, std::uint64_t& unique) {
  ::fchmod(child, S_IRWXU);
  const Directory entries = Read(child);
  if (entries == nullptr) return false;
  bool progress = false;
  while (const char* name = NextName(entries.get())) {
    bool done = ::unlinkat(child, name, 0) == 0 || ::unlinkat(child, name, AT_REMOVEDIR) == 0;
    for (int attempt = 0; !done && attempt < 100; ++attempt) {
      done = MoveUp(child, name, root, "lazaret-remove-" + std::to_string(unique++));
    }
    progress |= done;
  }
  return progress;
}

}  // namespace

Result<void> EmptyDirectory(int directory) {
  ::fchmod(directory, S_IRWXU);
  std::uint64_t unique = 0;
  // Each pass that finds a directory lowers the tree by one level; a pass that changes nothing ends it.
  for (;;) {
    const Directory entries = Read(directory);
    if (entries == nullptr) return std::unexpected(SystemError("cannot read a temporary directory", errno));
    bool found = false;
    bool progress = false;
    while (const char* name = NextName(entries.get())) {
      found = true;
      if (::unlinkat(directory, name, 0) == 0 || ::unlinkat(directory, name, AT_REMOVEDIR) == 0) {
        progress = true;
        continue;
      }
      const UniqueFd child = OpenChild(directory, name);
      if (!child) continue;
      progress |= Flatten(directory, child.Get(), unique);
      progress |= ::unlinkat(directory, name, AT_REMOVEDIR) == 0;
    }
    if (!found) return {};
    if (!progress) return Fail(Errc::kInternal, "a temporary directory cannot be emptied");
  }
}

std::string TempSlots::Path(std::uint32_t slot) const { return root_ + "/" + std::to_string(slot); }

Result<void> TempSlots::Renew(std::uint32_t slot) const {
  const std::string path = Path(slot);
  if (::mkdir(path.c_str(), S_IRWXU) == 0) return {};
  if (errno != EEXIST) return std::unexpected(SystemError("cannot make the temporary directory " + path, errno));
  const UniqueFd directory(::open(path.c_str(), kOpenDirectory));
  if (!directory) return std::unexpected(SystemError("cannot open the temporary directory " + path, errno));
  return EmptyDirectory(directory.Get());
}

Result<void> TempSlots::RenewAll() const {
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    if (auto done = Renew(slot); !done) return done;
  }
  return {};
}

Result<void> TempSlots::SetOwner(uid_t user, gid_t group) const {
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    const std::string path = Path(slot);
    if (::lchown(path.c_str(), user, group) != 0) {
      return std::unexpected(SystemError("cannot give away the temporary directory " + path, errno));
    }
  }
  return {};
}

void TempSlots::RemoveAll() const {
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    const std::string path = Path(slot);
    const UniqueFd directory(::open(path.c_str(), kOpenDirectory));
    if (!directory) continue;
    (void)EmptyDirectory(directory.Get());
    ::rmdir(path.c_str());
  }
}

}  // namespace lazaret::scanner
