#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace lazaret::webhook {

// How long a message waits after its attempt number `attempt` (from 1) failed. `random`, from 0 to 1, moves it by up to
// a fifth either way, so that messages that failed together do not come back together.
inline milliseconds PauseAfter(std::uint32_t attempt, double random) {
  using std::chrono::hours, std::chrono::minutes;
  constexpr std::array<milliseconds, 7> kPauses = {seconds(5),  seconds(30), minutes(2), minutes(10),
                                                   minutes(30), hours(1),    hours(2)};
  const std::size_t index = std::min<std::size_t>(std::max(attempt, 1u) - 1, kPauses.size() - 1);
  const auto pause = static_cast<double>(kPauses[index].count());
  return milliseconds(static_cast<milliseconds::rep>(pause * (0.8 + 0.4 * random)));
}

}  // namespace lazaret::webhook
