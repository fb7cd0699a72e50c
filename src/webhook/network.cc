#include "webhook/network.h"

#include <algorithm>
#include <charconv>
#include <string>

#include <fmt/format.h>

namespace lazaret::webhook {
namespace ip = boost::asio::ip;

namespace {

struct Block4 {
  std::uint8_t a, b, c;  // the fourth byte of all of them is 0
  unsigned prefix;
};

constexpr Block4 kSpecial4[] = {
    {0, 0, 0, 8},        // this network
    {10, 0, 0, 8},       // private (RFC 1918)
    {100, 64, 0, 10},    // shared behind a carrier's NAT (RFC 6598)
    {127, 0, 0, 8},      // loopback
    {169, 254, 0, 16},   // link-local, and the metadata services of clouds
    {172, 16, 0, 12},    // private
    {192, 0, 0, 24},     // protocol assignments
    {192, 0, 2, 24},     // documentation
    {192, 88, 99, 24},   // relays of 6to4
    {192, 168, 0, 16},   // private
    {198, 18, 0, 15},    // benchmarks
    {198, 51, 100, 24},  // documentation
    {203, 0, 113, 24},   // documentation
    {224, 0, 0, 4},      // multicast
    {240, 0, 0, 4},      // reserved, and broadcast
};

bool IsPublic4(std::uint32_t address) {
  return std::ranges::none_of(kSpecial4, [&](const Block4& block) {
    const std::uint32_t start =
        std::uint32_t{block.a} << 24 | std::uint32_t{block.b} << 16 | std::uint32_t{block.c} << 8;
    return (address ^ start) >> (32 - block.prefix) == 0;
  });
}

bool IsPublic6(const ip::address_v6::bytes_type& bytes) {
  const auto read = [&](std::size_t from, std::size_t count) {
    std::uint64_t value = 0;
    for (std::size_t i = from; i < from + count; ++i) value = value << 8 | bytes[i];
    return value;
  };
  const std::uint64_t high = read(0, 8);
  if (high == 0 && read(8, 4) == 0xFFFF) return IsPublic4(static_cast<std::uint32_t>(read(12, 4)));
  if (high == 0x0064'FF9B'0000'0000 && read(8, 4) == 0) return IsPublic4(static_cast<std::uint32_t>(read(12, 4)));
  if (high >> 61 != 1) return false;                // not 2000::/3
  if (high >> 41 == 0x20010000 >> 9) return false;  // 2001::/23: protocol assignments, Teredo among them
  if (high >> 32 == 0x20010DB8) return false;       // documentation
  if (high >> 44 == 0x3FFF0) return false;          // documentation (RFC 9637)
  if (high >> 48 == 0x2002) return IsPublic4(static_cast<std::uint32_t>(read(2, 4)));
  return true;
}

}  // namespace

bool IsPublic(const ip::address& address) {
  return address.is_v4() ? IsPublic4(address.to_v4().to_uint()) : IsPublic6(address.to_v6().to_bytes());
}

Network::Bits Network::BitsOf(const ip::address& address) {
  return address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()).to_bytes() : address.to_v6().to_bytes();
}

Network::Bits Network::Cut(Bits bits, unsigned prefix) {
  for (unsigned i = 0; i < bits.size(); ++i) {
    const unsigned kept = std::clamp(prefix, i * 8, i * 8 + 8) - i * 8;
    bits[i] &= static_cast<std::uint8_t>(0xFF00u >> kept);
  }
  return bits;
}

Result<Network> Network::Parse(std::string_view text) {
  const auto malformed = [&](std::string_view why) {
    return Fail(Errc::kMalformed, fmt::format("\"{}\" {}", text, why));
  };
  const std::size_t slash = text.find('/');
  boost::system::error_code failed;
  const ip::address address = ip::make_address(std::string(text.substr(0, slash)), failed);
  if (failed || text.find_first_of(std::string_view("%\0", 2)) != text.npos) {
    return malformed("is neither an address nor a block of addresses such as 10.0.0.0/8 or fd00::/8");
  }
  const unsigned offset = address.is_v4() ? 96 : 0;
  unsigned prefix = 128 - offset;
  if (slash != text.npos) {
    const std::string_view number = text.substr(slash + 1);
    const auto [rest, bad] = std::from_chars(number.data(), number.data() + number.size(), prefix);
    if (bad != std::errc() || rest != number.data() + number.size() || prefix > 128 - offset) {
      return malformed(fmt::format("must have a number from 0 to {} after the slash", 128 - offset));
    }
  }
  const Bits bits = BitsOf(address);
  const Bits start = Cut(bits, prefix + offset);
  if (bits != start) {
    const ip::address_v6 first(start);
    const std::string name =
        address.is_v4() ? ip::make_address_v4(ip::v4_mapped, first).to_string() : first.to_string();
    return malformed(fmt::format("has bits beyond its prefix: write {}/{}", name, prefix));
  }
  return Network(bits, prefix + offset);
}

bool Network::Contains(const ip::address& address) const { return Cut(BitsOf(address), prefix_) == bits_; }

}  // namespace lazaret::webhook
