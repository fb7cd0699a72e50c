#include "base/clock.h"

#include <algorithm>
#include <cstdint>

namespace lazaret {
namespace {

constexpr std::string_view kRfc3339Form = "0000-00-00T00:00:00.000Z";

}  // namespace

SteadyTime CoarseSteadyNow() {
  timespec now{};
  if (::clock_gettime(CLOCK_MONOTONIC_COARSE, &now) != 0) return std::chrono::steady_clock::now();
  return SteadyTime(std::chrono::duration_cast<SteadyTime::duration>(std::chrono::seconds(now.tv_sec) +
                                                                     std::chrono::nanoseconds(now.tv_nsec)));
}

std::string FormatRfc3339(WallTime time) {
  std::string text;
  AppendRfc3339(text, time);
  return text;
}

void AppendRfc3339(std::string& out, WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  // Digit by digit: every answer holds two of these, and formatting them would be a good part of its cost.
  const std::size_t begin = out.size();
  out += kRfc3339Form;
  const auto put = [&](std::size_t at, std::size_t digits, std::int64_t value) {
    for (std::size_t i = digits; i-- > 0; value /= 10) out[begin + at + i] = static_cast<char>('0' + value % 10);
  };
  put(0, 4, std::clamp(static_cast<int>(date.year()), 0, 9999));
  put(5, 2, static_cast<unsigned>(date.month()));
  put(8, 2, static_cast<unsigned>(date.day()));
  put(11, 2, clock.hours().count());
  put(14, 2, clock.minutes().count());
  put(17, 2, clock.seconds().count());
  put(20, 3, clock.subseconds().count());
}

std::optional<WallTime> ParseRfc3339(std::string_view text) {
  if (text.size() != kRfc3339Form.size()) return std::nullopt;
  for (std::size_t i = 0; i < kRfc3339Form.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kRfc3339Form[i] == '0' ? !digit : text[i] != kRfc3339Form[i]) return std::nullopt;
  }
  const auto number = [&](std::size_t at, std::size_t digits) {
    int value = 0;
    for (const char c : text.substr(at, digits)) value = value * 10 + (c - '0');
    return value;
  };
  const std::chrono::year_month_day date(std::chrono::year(number(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(8, 2))));
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) + seconds(second) +
         milliseconds(number(20, 3));
}

}  // namespace lazaret
