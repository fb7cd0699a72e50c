#pragma once

#include <cstdint>

namespace lazaret::fleet {

// From the kernel: tells apart what different nodes make at the same time. Never 0.
std::uint64_t RandomNumber();

}  // namespace lazaret::fleet
