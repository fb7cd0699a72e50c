#pragma once

#include <atomic>
#include <string_view>

#include "base/log.h"
#include "base/result.h"

namespace lazaret {

// Says in the log when something that is used all the time begins to fail, and when it works again. Thread-safe.
class Standing {
 public:
  // Both are log events with static storage. `log` must outlive it.
  Standing(Log& log, std::string_view fails, std::string_view works) : log_(log), fails_(fails), works_(works) {}

  void Works() {
    if (failing_ && failing_.exchange(false)) log_.Info(works_);
  }
  // Damage is no matter of the moment: each is told.
  void Fails(const Error& why) {
    if (why.code == Errc::kCancelled) return;
    if (why.code == Errc::kCorrupt || !failing_.exchange(true)) log_.Warning(fails_, {{"error", why.what}});
  }

 private:
  Log& log_;
  const std::string_view fails_;
  const std::string_view works_;
  std::atomic<bool> failing_ = false;
};

}  // namespace lazaret
