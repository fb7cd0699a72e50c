#include "clamd/path_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "wire/clamd_answer.h"

namespace lazaret::clamd {
namespace {

constexpr int kMostRetries = 16;
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

Finding PathFailure(int error) {
  return Finding::Failed(fmt::format("File path check failure: {}.", std::generic_category().message(error)));
}

Finding OpenFailure(int error) {
  return error == EACCES || error == EPERM || error == ELOOP ? Finding::Failed(wire::kClamdAccessDenied)
                                                             : PathFailure(error);
}

std::string Normalized(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c != '/' || !out.ends_with('/')) out += c;
  }
  if (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

// The part of `path` beneath `root`, "." for the root itself; empty when it does not begin there.
std::optional<std::string> Beneath(const std::string& path, const std::string& root) {
  if (path == root) return ".";
  const std::string prefix = root == "/" ? root : root + "/";
  if (!path.starts_with(prefix)) return std::nullopt;
  return path.substr(prefix.size());
}

// A descriptor that only names what it stands for; a negative number is an error.
int OpenBeneath(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int tries = 0;; ++tries) {
    const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    // EAGAIN: something was renamed meanwhile.
    if ((errno != EAGAIN && errno != EINTR) || tries == kMostRetries) return -errno;
  }
}

UniqueFd Reopen(const UniqueFd& named, int flags) {
  return UniqueFd(::open(fmt::format("/proc/self/fd/{}", named.Get()).c_str(), flags));
}

std::string Join(const std::string& directory, const std::string& name) {
  return directory == "/" ? "/" + name : directory + "/" + name;
}

}  // namespace

PathWalk::PathWalk(const WalkSettings& settings, std::string_view path) : settings_(settings), path_(path) {
  while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
}

PathWalk::Opened PathWalk::Resolve() const {
  // clamd resolves them where it happens to run.
  if (!path_.starts_with('/')) return PathFailure(ENOENT);
  const std::string path = Normalized(path_);
  int error = EXDEV;
  for (const std::filesystem::path& allowed : settings_.roots) {
    const std::string root = Normalized(allowed.native());
    const auto rest = Beneath(path, root);
    if (!rest) continue;
    const UniqueFd directory(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
      error = errno;
      continue;
    }
    const int fd = OpenBeneath(directory.Get(), *rest);
    if (fd >= 0) return UniqueFd(fd);
    error = -fd;
  }
  if (error == EXDEV || error == ELOOP || error == ENOSYS || error == EAGAIN) {
    return Finding::Failed(wire::kClamdAccessDenied);
  }
  return PathFailure(error);
}

std::optional<PathWalk::Item> PathWalk::Begin() {
  begun_ = true;
  Opened resolved = Resolve();
  if (auto* failure = std::get_if<Finding>(&resolved)) return Item{path_, std::move(*failure)};
  const UniqueFd named = std::get<UniqueFd>(std::move(resolved));
  struct stat status{};
  if (::fstat(named.Get(), &status) != 0) return Item{path_, PathFailure(errno)};
  is_directory_ = S_ISDIR(status.st_mode);
  if (!is_directory_ && !S_ISREG(status.st_mode)) return Item{path_, Finding::Failed(wire::kClamdNotSupported)};
  UniqueFd fd = Reopen(named, kReadFlags | (is_directory_ ? O_DIRECTORY : 0));
  if (!fd) return Item{path_, is_directory_ ? PathFailure(errno) : OpenFailure(errno)};
  if (!is_directory_) return Item{path_, std::move(fd)};
  directory_ = std::move(fd);
  return std::nullopt;
}

std::optional<PathWalk::Item> PathWalk::Enter(std::string path, UniqueFd fd) {
  const auto close = [](DIR* open) { ::closedir(open); };
  UniqueFd listed(::fcntl(fd.Get(), F_DUPFD_CLOEXEC, 0));
  const std::unique_ptr<DIR, decltype(close)> stream(listed ? ::fdopendir(listed.Get()) : nullptr, close);
  if (stream == nullptr) return Item{std::move(path), PathFailure(errno)};
  (void)listed.Release();
  std::vector<Entry> entries;
  for (;;) {
    errno = 0;
    const dirent* const found = ::readdir(stream.get());
    if (found == nullptr && errno != 0) return Item{std::move(path), PathFailure(errno)};
    if (found == nullptr) break;
    const std::string name = found->d_name;
    if (name == "." || name == "..") continue;
    if (++entries_ > settings_.max_entries) {
      stack_.clear();
      return Item{path_, Finding::Failed("Too many files (clamd.max_path_entries).")};
    }
    unsigned char type = found->d_type;
    if (type == DT_UNKNOWN) {
      struct stat status{};
      // What cannot be looked at is met again, and told, when it is opened.
      type = DT_REG;
      if (::fstatat(fd.Get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) type = IFTODT(status.st_mode);
    }
    if (type != DT_REG && type != DT_DIR) continue;
    entries.push_back({found->d_ino, type == DT_DIR, name});
  }
  std::ranges::sort(entries, {}, [](const Entry& entry) { return std::tuple(entry.is_directory, entry.inode); });
  stack_.push_back({std::move(path), std::move(fd), std::move(entries)});
  return std::nullopt;
}

std::optional<PathWalk::Item> PathWalk::Visit(const Directory& directory, const Entry& entry) {
  std::string path = Join(directory.path, entry.name);
  if (entry.is_directory && stack_.size() > settings_.max_depth) {
    return Item{std::move(path), Finding::Failed("Directory recursion limit reached.")};
  }
  const int flags = kReadFlags | O_NOFOLLOW | (entry.is_directory ? O_DIRECTORY : 0);
  UniqueFd fd(::openat(directory.fd.Get(), entry.name.c_str(), flags));
  if (!fd) return Item{std::move(path), entry.is_directory ? PathFailure(errno) : OpenFailure(errno)};
  if (entry.is_directory) return Enter(std::move(path), std::move(fd));
  return Item{std::move(path), std::move(fd)};
}

std::optional<PathWalk::Item> PathWalk::Next() {
  if (directory_) {
    if (auto item = Enter(path_, std::exchange(directory_, UniqueFd()))) return item;
  }
  while (!stack_.empty()) {
    Directory& directory = stack_.back();
    if (directory.next == directory.entries.size()) {
      stack_.pop_back();
      continue;
    }
    // Enter moves the stack.
    const Entry entry = std::move(directory.entries[directory.next++]);
    const Directory* const parent = &directory;
    if (auto item = Visit(*parent, entry)) return item;
  }
  return std::nullopt;
}

}  // namespace lazaret::clamd
