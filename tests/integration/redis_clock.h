#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "integration/test_directory.h"

namespace lazaret::tests {

// The wall clock of redis-servers that are started with `environment`: real until it is set, then it stands still. A
// Redis whose clock stands still never ends a blocking command by itself.
class RedisClock {
 public:
  RedisClock() {
    const UniqueFd fd(::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd || ::ftruncate(fd.Get(), sizeof(std::int64_t)) != 0) throw std::runtime_error("no file for a clock");
    void* const page = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd.Get(), 0);
    if (page == MAP_FAILED) throw std::runtime_error("mmap");
    shared_ = static_cast<std::atomic<std::int64_t>*>(page);
  }
  ~RedisClock() { ::munmap(shared_, sizeof(std::int64_t)); }
  RedisClock(const RedisClock&) = delete;
  RedisClock& operator=(const RedisClock&) = delete;

  std::vector<std::string> environment() const {
    return {std::string("LD_PRELOAD=") + LAZARET_REDIS_CLOCK_LIBRARY, "LAZARET_REDIS_CLOCK=" + file_};
  }
  void Set(WallTime time) { *shared_ = std::chrono::microseconds(time.time_since_epoch()).count(); }
  void SetReal() { *shared_ = 0; }

 private:
  TestDirectory directory_;
  const std::string file_ = (directory_ / "clock").native();
  std::atomic<std::int64_t>* shared_ = nullptr;
};

}  // namespace lazaret::tests
