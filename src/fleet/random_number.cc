#include "fleet/random_number.h"

#include <sys/random.h>

#include <stdexcept>

namespace lazaret::fleet {

std::uint64_t RandomNumber() {
  std::uint64_t number = 0;
  // Short requests are never cut short (getrandom(2)).
  if (::getrandom(&number, sizeof number, 0) != sizeof number) throw std::runtime_error("getrandom failed");
  return number == 0 ? 1 : number;
}

}  // namespace lazaret::fleet
