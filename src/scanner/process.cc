#include "scanner/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace lazaret::scanner {

Result<void> DieWithParent(pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
    return std::unexpected(SystemError("parent death signal", errno));
  if (::getppid() != parent) return Fail(Errc::kDisconnected, "the parent has gone");
  return {};
}

void CloseFrom(int first) { ::syscall(SYS_close_range, first, ~0u, 0); }

bool SilenceStandardStreams() {
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return false;
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::dup2(null.Get(), fd) < 0) return false;
  }
  if (null.Get() <= STDERR_FILENO) (void)null.Release();
  return true;
}

void IgnoreTerminationSignals() {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE}) ::signal(number, SIG_IGN);
}

}  // namespace lazaret::scanner
