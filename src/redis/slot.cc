#include "redis/slot.h"

#include <array>

namespace lazaret::redis {
namespace {

constexpr std::array<std::uint16_t, 256> MakeTable() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1;
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}

}  // namespace

std::uint16_t Crc16(std::string_view bytes) {
  static constexpr auto kTable = MakeTable();
  std::uint16_t crc = 0;
  for (const char c : bytes) {
    crc = static_cast<std::uint16_t>(crc << 8 ^ kTable[(crc >> 8 ^ static_cast<unsigned char>(c)) & 0xff]);
  }
  return crc;
}

std::uint16_t SlotOf(std::string_view key) {
  if (const std::size_t open = key.find('{'); open != key.npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != key.npos && close != open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return Crc16(key) % kSlots;
}

}  // namespace lazaret::redis
