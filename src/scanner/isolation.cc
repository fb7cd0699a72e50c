#include "scanner/isolation.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "scanner/sandbox.h"

namespace lazaret::scanner {
namespace {

struct User {
  uid_t id;
  gid_t group;
  std::vector<gid_t> groups;
};

Result<User> FindUser(const std::string& name) {
  errno = 0;
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return Fail(Errc::kNotFound, fmt::format("there is no user \"{}\"", name));
  User user{entry->pw_uid, entry->pw_gid, std::vector<gid_t>(64)};
  int count = static_cast<int>(user.groups.size());
  if (::getgrouplist(name.c_str(), user.group, user.groups.data(), &count) < 0) {
    user.groups.resize(static_cast<std::size_t>(count));
    ::getgrouplist(name.c_str(), user.group, user.groups.data(), &count);
  }
  user.groups.resize(static_cast<std::size_t>(count));
  return user;
}

bool WriteFile(const char* path, const std::string& text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file && ::write(file.Get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Whether mounts below the mount that holds "/" stay in this namespace: what its line of mountinfo says (proc(5)). In a
// chroot only a process outside shows that line. When in doubt, no.
bool RootIsPrivate() {
  struct statx root{};
  if (::statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &root) != 0 || (root.stx_mask & STATX_MNT_ID) == 0) return false;
  const std::string id = std::to_string(root.stx_mnt_id) + " ";
  for (const char* path : {"/proc/self/mountinfo", "/proc/1/mountinfo"}) {
    std::ifstream mounts(path);
    for (std::string line; std::getline(mounts, line);) {
      if (line.starts_with(id)) return line.substr(0, line.find(" - ")).find(" shared:") == std::string::npos;
    }
  }
  return false;
}

class Namespaces {
 public:
  explicit Namespaces(Isolation& isolation) : isolation_(isolation) {}

  void Enter() {
    if (::geteuid() != 0 && !EnterUserNamespace()) return;
    if (Unshare(CLONE_NEWNET, "network")) isolation_.layers.emplace_back("netns");
    Unshare(CLONE_NEWIPC, "IPC");
    Unshare(CLONE_NEWUTS, "UTS");
    const bool is_private = RootIsPrivate();
    if (!Unshare(CLONE_NEWNS, "mount")) return;
    // In a chroot "/" is no mount point and cannot be made private; it may be so all the same.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 && !(errno == EINVAL && is_private)) {
      return Warn("mounts cannot be made private", errno);
    }
    isolation_.layers.emplace_back("mountns");
    has_mounts_ = true;
  }

  bool HasMounts() const { return has_mounts_; }

 private:
  bool EnterUserNamespace() {
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    if (!Unshare(CLONE_NEWUSER, "user")) return false;
    if (WriteFile("/proc/self/setgroups", "deny") &&
        WriteFile("/proc/self/uid_map", fmt::format("{} {} 1", user, user)) &&
        WriteFile("/proc/self/gid_map", fmt::format("{} {} 1", group, group))) {
      return true;
    }
    Warn("cannot map the own user into a user namespace", errno);
    return false;
  }
  bool Unshare(int flag, const char* name) {
    if (::unshare(flag) == 0) return true;
    Warn(fmt::format("no own {} namespace", name), errno);
    return false;
  }
  void Warn(const std::string& what, int error) { isolation_.warnings.push_back(SystemError(what, error).what); }

  Isolation& isolation_;
  bool has_mounts_ = false;
};

constexpr unsigned long kMountFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

// Directories that every system has, everybody may search, and no scanner needs.
constexpr const char* kMountPlaces[] = {"/run", "/mnt", "/tmp"};

const char* MountPlace() {
  const auto* const place = std::ranges::find_if(kMountPlaces, [](const char* path) {
    std::error_code error;
    return std::filesystem::is_directory(path, error);
  });
  return place != std::end(kMountPlaces) ? *place : nullptr;
}

Result<void> MountSlots(const wire::LoadRequest& request, const std::optional<User>& user, const std::string& root) {
  const uid_t owner = user ? user->id : ::geteuid();
  const gid_t group = user ? user->group : ::getegid();
  constexpr std::uint64_t kSpareInodes = 16 * 1024;
  const std::string options = fmt::format("size={},nr_inodes={},mode=0700,uid={},gid={}", request.temp_bytes,
                                          request.max_files + kSpareInodes, owner, group);
  for (std::uint32_t slot = 0; slot < request.slots; ++slot) {
    const std::string path = fmt::format("{}/{}", root, slot);
    if (::mkdir(path.c_str(), S_IRWXU) != 0 ||
        ::mount("lazaret", path.c_str(), "tmpfs", kMountFlags, options.c_str()) != 0) {
      return std::unexpected(SystemError("cannot mount a tmpfs on " + path, errno));
    }
  }
  return {};
}

// `directory` is open on the signatures: their path may lie below what has been mounted over. None are mounted for -1.
Result<void> MountSignatures(int directory, const std::string& path) {
  if (directory < 0) return {};
  const std::string source = fmt::format("/proc/self/fd/{}", directory);
  if (::mkdir(path.c_str(), 0755) != 0 || ::mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return std::unexpected(SystemError("cannot mount the signatures on " + path, errno));
  }
  // Tolerated to fail: in a user namespace it may not drop flags that it does not know.
  (void)::mount(nullptr, path.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | kMountFlags, nullptr);
  return {};
}

// Everything that is mounted here vanishes with the mount namespace: nothing is left behind in a real directory.
Result<Isolation> Mount(const wire::LoadRequest& request, const std::optional<User>& user, const Isolation& isolation) {
  const char* const place = MountPlace();
  if (place == nullptr) return Fail(Errc::kNotFound, "no tmpfs: there is neither /run nor /mnt nor /tmp");
  const UniqueFd signatures(::open(request.signature_directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!signatures && !request.signature_directory.empty()) {
    return std::unexpected(SystemError("cannot open " + request.signature_directory, errno));
  }
  const std::string root_options = fmt::format("size=64k,nr_inodes={},mode=0711", request.slots + 16);
  if (::mount("lazaret", place, "tmpfs", kMountFlags, root_options.c_str()) != 0) {
    return std::unexpected(SystemError(fmt::format("cannot mount a tmpfs on {}", place), errno));
  }
  Isolation mounted{TempSlots(place, request.slots), fmt::format("{}/signatures", place), isolation.layers,
                    isolation.warnings};
  auto done = MountSlots(request, user, place);
  if (done) done = MountSignatures(signatures.Get(), mounted.signature_directory);
  if (!done) {
    ::umount2(place, MNT_DETACH);  // and with it what lies below
    return std::unexpected(done.error());
  }
  mounted.layers.emplace_back("tmpfs");
  return mounted;
}

Result<void> Become(const User& user, const std::string& name) {
  if (::setgroups(user.groups.size(), user.groups.data()) != 0 ||
      ::setresgid(user.group, user.group, user.group) != 0 || ::setresuid(user.id, user.id, user.id) != 0) {
    return std::unexpected(SystemError(fmt::format("cannot become the user \"{}\"", name), errno));
  }
  return {};
}

Result<void> CheckUsable(const wire::LoadRequest& request, const TempSlots& slots) {
  for (std::uint32_t slot = 0; slot < request.slots; ++slot) {
    if (::access(slots.Path(slot).c_str(), R_OK | W_OK | X_OK) != 0) {
      return std::unexpected(SystemError(
          fmt::format("the scanners' user cannot use {} (every directory above must be searchable)", slots.Path(slot)),
          errno));
    }
  }
  return {};
}

}  // namespace

Result<Isolation> Isolate(const wire::LoadRequest& request, Mounts mounts) {
  std::optional<User> user;
  if (::geteuid() == 0 && !request.user.empty()) {
    auto found = FindUser(request.user);
    if (!found) return std::unexpected(found.error());
    user = *std::move(found);
  }
  std::error_code error;
  if (!std::filesystem::is_directory(request.temp_directory, error)) {
    return Fail(Errc::kNotFound, fmt::format("the temp directory {} is not there", request.temp_directory));
  }

  Isolation isolation{TempSlots(request.temp_directory, request.slots), request.signature_directory, {}, {}};
  Namespaces namespaces(isolation);
  namespaces.Enter();
  bool mounted = false;
  if (mounts == Mounts::kPrivate && namespaces.HasMounts()) {
    if (auto done = Mount(request, user, isolation)) {
      isolation = *std::move(done);
      mounted = true;
    } else {
      isolation.warnings.push_back(done.error().what);
    }
  }
  if (!mounted) {
    if (auto done = isolation.slots.RenewAll(); !done) return std::unexpected(done.error());
    if (user) {
      if (auto done = isolation.slots.SetOwner(user->id, user->group); !done) return std::unexpected(done.error());
    }
  }

  if (user) {
    if (auto done = Become(*user, request.user); !done) return std::unexpected(done.error());
  }
  if (::geteuid() != 0) {
    // Those of the user namespace; there are none otherwise.
    if (auto done = DropCapabilities(); !done) return std::unexpected(done.error());
    isolation.layers.emplace_back("user");
  } else {
    isolation.warnings.emplace_back("scanners run as root: name a user for them");
  }
  if (auto done = CheckUsable(request, isolation.slots); !done) return std::unexpected(done.error());
  return isolation;
}

}  // namespace lazaret::scanner
