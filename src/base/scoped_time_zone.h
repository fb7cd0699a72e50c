#pragma once

#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>

namespace lazaret {

// For tests: the local time zone of this process, and of those that it starts, until this goes. "TZ" of tzset(3), such
// as "UTC" or "EST5EDT,M3.2.0,M11.1.0". No other thread may ask for local times or for the environment meanwhile.
class ScopedTimeZone {
 public:
  explicit ScopedTimeZone(const std::string& zone) {
    if (const char* const now = std::getenv("TZ"); now != nullptr) before_ = now;
    Set(zone);
  }
  ~ScopedTimeZone() { Set(before_); }
  ScopedTimeZone(const ScopedTimeZone&) = delete;
  ScopedTimeZone& operator=(const ScopedTimeZone&) = delete;

 private:
  static void Set(const std::optional<std::string>& zone) {
    if (zone) {
      ::setenv("TZ", zone->c_str(), 1);
    } else {
      ::unsetenv("TZ");
    }
    ::tzset();
  }

  std::optional<std::string> before_;
};

}  // namespace lazaret
