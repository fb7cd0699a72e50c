#include "scanner/seccomp_filter.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace lazaret::scanner {
namespace {

// What libclamav, the C library and our own loop use between two scans' requests. Opening and removing files is left to
// Landlock.
constexpr std::array kAllowed = {
    SCMP_SYS(read),           SCMP_SYS(write),     SCMP_SYS(writev),        SCMP_SYS(pread64),
    SCMP_SYS(lseek),          SCMP_SYS(close),     SCMP_SYS(dup),           SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),     SCMP_SYS(openat),    SCMP_SYS(unlink),        SCMP_SYS(unlinkat),
    SCMP_SYS(rmdir),          SCMP_SYS(mkdir),     SCMP_SYS(mkdirat),       SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),         SCMP_SYS(access),    SCMP_SYS(faccessat),     SCMP_SYS(munmap),
    SCMP_SYS(mremap),         SCMP_SYS(madvise),   SCMP_SYS(brk),           SCMP_SYS(futex),
    SCMP_SYS(ftruncate),      SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
    SCMP_SYS(time),           SCMP_SYS(recvmsg),   SCMP_SYS(sendmsg),       SCMP_SYS(poll),
    SCMP_SYS(ppoll),          SCMP_SYS(exit),      SCMP_SYS(exit_group),    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid),    SCMP_SYS(gettid),        SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield),
};
constexpr std::array kNotExecutable = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
constexpr std::array kHarmlessFcntl = {F_GETFL, F_SETFL, F_GETFD, F_SETFD};
// Modes of temporary files do not matter: said to be changed.
constexpr std::array kPretended = {SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat)};

Error FilterError(int code) { return SystemError("cannot set up the seccomp filter", -code); }

}  // namespace

bool SeccompIsAvailable() {
  const std::uint32_t action = SECCOMP_RET_KILL_PROCESS;
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

Result<void> EnterSeccomp() {
  const std::unique_ptr<void, decltype(&::seccomp_release)> filter(::seccomp_init(SCMP_ACT_KILL_PROCESS),
                                                                   &::seccomp_release);
  if (filter == nullptr) return Fail(Errc::kInternal, "cannot set up a seccomp filter");
  int error = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  const auto add = [&](std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> arguments = {}) {
    if (error != 0) return;
    error = ::seccomp_rule_add_array(filter.get(), action, call, static_cast<unsigned>(arguments.size()),
                                     arguments.size() > 0 ? arguments.begin() : nullptr);
  };
  for (const int call : kAllowed) add(SCMP_ACT_ALLOW, call);
  for (const int call : kNotExecutable) {
    add(SCMP_ACT_ALLOW, call, {scmp_arg_cmp{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}});
  }
  for (const int command : kHarmlessFcntl) {
    add(SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {scmp_arg_cmp{1, SCMP_CMP_EQ, static_cast<scmp_datum_t>(command), 0}});
  }
  for (const int call : kPretended) add(SCMP_ACT_ERRNO(0), call);
  // Standard I/O asks whether a descriptor is a terminal, for one in perror(3), which libclamav calls when memory is
  // short.
  add(SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl));
  // abort(3) signals its own thread; nobody else may be signalled.
  add(SCMP_ACT_ALLOW, SCMP_SYS(tgkill), {scmp_arg_cmp{0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid()), 0}});
  if (error != 0) return std::unexpected(FilterError(error));
  if (const int loaded = ::seccomp_load(filter.get()); loaded != 0) return std::unexpected(FilterError(loaded));
  return {};
}

}  // namespace lazaret::scanner
