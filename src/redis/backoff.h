#pragma once

#include <cstdint>
#include <random>

#include "base/clock.h"

namespace lazaret::redis {

// Growing pauses between attempts: each twice as long as the one before, up to `most`, of which a random half is left
// out, so that many clients do not come back at once. One thread.
class Backoff {
 public:
  Backoff(milliseconds first, milliseconds most, std::uint32_t seed) : first_(first), most_(most), random_(seed) {}

  milliseconds Next();
  void Reset() { pause_ = milliseconds(0); }

 private:
  const milliseconds first_;
  const milliseconds most_;
  milliseconds pause_{0};
  std::minstd_rand random_;
};

}  // namespace lazaret::redis
