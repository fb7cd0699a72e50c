#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "fleet/random_number.h"

// How arguments of scripts are written.
namespace lazaret::fleet {

using Texts = std::vector<std::string>;

// So that no sum of times overflows.
inline constexpr milliseconds kLongest = std::chrono::years(1000);

inline std::string MillisecondsText(milliseconds time) {
  return std::to_string(std::clamp(time, milliseconds(0), kLongest).count());
}
// Tells a call from all others, so that one that was carried out already is known when it comes again.
inline std::string NewCall() { return fmt::format("{:016x}", RandomNumber()); }

}  // namespace lazaret::fleet
