#include "redis/backoff.h"

#include <algorithm>

namespace lazaret::redis {

milliseconds Backoff::Next() {
  pause_ = pause_.count() == 0 ? first_ : std::min(pause_ * 2, most_);
  std::uniform_int_distribution<milliseconds::rep> part(pause_.count() / 2, pause_.count());
  return milliseconds(part(random_));
}

}  // namespace lazaret::redis
