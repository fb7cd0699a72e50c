// A library for LD_PRELOAD that puts the wall clock of a redis-server into the hands of a test: the number in the file
// that LAZARET_REDIS_CLOCK names is the time in microseconds, and 0 stands for the real time
// (integration/redis_clock.h). Its monotonic clock goes on. It interposes functions of libc, so it keeps what it needs
// in a static variable.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace {

std::int64_t FixedMicroseconds() {
  static const auto* const shared = [] {
    const char* const name = std::getenv("LAZARET_REDIS_CLOCK");
    const int fd = name == nullptr ? -1 : ::open(name, O_RDONLY | O_CLOEXEC);
    void* const page = fd < 0 ? MAP_FAILED : ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0) ::close(fd);
    return page == MAP_FAILED ? nullptr : static_cast<const std::atomic<std::int64_t>*>(page);
  }();
  return shared == nullptr ? 0 : shared->load();
}

timespec WallClock() {
  timespec now{};
  if (const std::int64_t fixed = FixedMicroseconds(); fixed != 0) {
    now.tv_sec = fixed / 1'000'000;
    now.tv_nsec = fixed % 1'000'000 * 1000;
  } else {
    ::syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  }
  return now;
}

}  // namespace

extern "C" {

int gettimeofday(timeval* time, void*) noexcept {
  const timespec now = WallClock();
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) {
    return static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  }
  *time = WallClock();
  return 0;
}

time_t time(time_t* out) noexcept {
  const time_t now = WallClock().tv_sec;
  if (out != nullptr) *out = now;
  return now;
}

}  // extern "C"
