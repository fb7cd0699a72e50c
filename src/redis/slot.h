#pragma once

#include <cstdint>
#include <string_view>

namespace lazaret::redis {

inline constexpr std::uint16_t kSlots = 16384;

// CRC-16 as Redis Cluster uses it: XMODEM, polynomial 0x1021 (Redis Cluster specification, appendix A).
std::uint16_t Crc16(std::string_view bytes);

// The slot of a key: of what stands between the first "{" and the first "}" behind it, if that is not empty.
std::uint16_t SlotOf(std::string_view key);

}  // namespace lazaret::redis
