#include "scanner/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <utility>

#include "base/unique_fd.h"
#include "scanner/seccomp_filter.h"

namespace lazaret::scanner {
namespace {

// linux/landlock.h of Debian 12 knows neither network nor scopes: its structures in full, up to version 6.
struct RulesetAttributes {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
  std::uint64_t scoped;
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed_access;
  std::int32_t parent_fd;
};

constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;
constexpr std::uint32_t kAskVersion = 1;
constexpr int kRulePathBeneath = 1;

constexpr std::uint64_t kWriteFile = 1u << 1, kReadFile = 1u << 2, kReadDir = 1u << 3, kRemoveDir = 1u << 4,
                        kRemoveFile = 1u << 5, kMakeDir = 1u << 7, kMakeReg = 1u << 8, kTruncate = 1u << 14;
constexpr std::uint64_t kAllNet = 0b11, kAllScopes = 0b11;

std::uint64_t AllFileRights(int version) {
  if (version >= 5) return (1u << 16) - 1;
  if (version >= 3) return (1u << 15) - 1;
  if (version == 2) return (1u << 14) - 1;
  return (1u << 13) - 1;
}

Result<void> EnterLandlock(const std::string& temp_directory, int version) {
  RulesetAttributes attributes{.handled_access_fs = AllFileRights(version),
                               .handled_access_net = version >= 4 ? kAllNet : 0,
                               .scoped = version >= 6 ? kAllScopes : 0};
  const std::size_t size = version >= 6 ? sizeof attributes : version >= 4 ? 16 : 8;
  const UniqueFd ruleset(static_cast<int>(::syscall(kCreateRuleset, &attributes, size, 0)));
  if (!ruleset) return std::unexpected(SystemError("cannot create a Landlock ruleset", errno));
  const UniqueFd directory(::open(temp_directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return std::unexpected(SystemError("cannot open " + temp_directory, errno));
  const PathBeneath rule{
      .allowed_access = attributes.handled_access_fs & (kWriteFile | kReadFile | kReadDir | kRemoveDir | kRemoveFile |
                                                        kMakeDir | kMakeReg | kTruncate),
      .parent_fd = directory.Get()};
  if (::syscall(kAddRule, ruleset.Get(), kRulePathBeneath, &rule, 0) != 0) {
    return std::unexpected(SystemError("cannot add a Landlock rule", errno));
  }
  if (::syscall(kRestrictSelf, ruleset.Get(), 0) != 0) {
    return std::unexpected(SystemError("cannot enter Landlock", errno));
  }
  return {};
}

std::uint64_t AddressSpaceInUse() {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Result<void> Limit(int resource, std::uint64_t value) {
  const rlimit limit{value, value};
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    return std::unexpected(SystemError("cannot set a resource limit", errno));
  }
  return {};
}

Result<void> LimitResources(const SandboxRules& rules) {
  constexpr std::uint64_t kOpenFiles = 1024;
  const std::uint64_t in_use = AddressSpaceInUse();
  if (in_use == 0) return Fail(Errc::kInternal, "cannot read /proc/self/statm");
  ::signal(SIGXFSZ, SIG_IGN);
  const std::pair<int, std::uint64_t> limits[] = {{RLIMIT_CORE, 0},
                                                  {RLIMIT_FSIZE, rules.temp_bytes},
                                                  {RLIMIT_NOFILE, kOpenFiles},
                                                  {RLIMIT_NPROC, 0},
                                                  {RLIMIT_AS, in_use + rules.memory_bytes}};
  for (const auto& [resource, value] : limits) {
    if (auto done = Limit(resource, value); !done) return done;
  }
  return {};
}

}  // namespace

int LandlockVersion() {
  const long version = ::syscall(kCreateRuleset, nullptr, 0, kAskVersion);
  return version > 0 ? static_cast<int>(version) : 0;
}

Result<void> DropCapabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return std::unexpected(SystemError("cannot drop capabilities", errno));
  return {};
}

Result<void> EnterSandbox(const SandboxRules& rules) {
  if (auto done = LimitResources(rules); !done) return done;
  if (auto done = DropCapabilities(); !done) return done;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return std::unexpected(SystemError("no new privileges", errno));
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return std::unexpected(SystemError("not dumpable", errno));
  if (const int version = LandlockVersion(); version > 0) {
    if (auto done = EnterLandlock(rules.temp_directory, version); !done) return done;
  }
  return EnterSeccomp();
}

}  // namespace lazaret::scanner
