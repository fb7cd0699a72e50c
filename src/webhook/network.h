#pragma once

#include <boost/asio/ip/address.hpp>

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace lazaret::webhook {

// Whether `address` belongs to the public internet, so that a connection to it cannot reach what only this machine or
// its own networks can: not loopback, private, link-local, shared (100.64/10), multicast, reserved or for
// documentation (IANA's registries of special-purpose addresses, RFC 6890). Of IPv6 only 2000::/3 counts, without its
// special parts (Teredo is one). IPv4-mapped, NAT64 (64:ff9b::/96, RFC 6052) and 6to4 (RFC 3056) addresses are what the
// IPv4 address in them is.
bool IsPublic(const boost::asio::ip::address& address);

// An address or a block of them (RFC 4632, RFC 4291). An IPv4 block holds the mapped form of its addresses, too.
class Network {
 public:
  // "10.0.0.0/8", "fd00::/8", "192.0.2.1". kMalformed with the cause; a block must not have bits beyond its prefix.
  static Result<Network> Parse(std::string_view text);

  bool Contains(const boost::asio::ip::address& address) const;

 private:
  using Bits = std::array<std::uint8_t, 16>;
  static Bits BitsOf(const boost::asio::ip::address& address);  // IPv4 in its mapped form
  static Bits Cut(Bits bits, unsigned prefix);

  Network(const Bits& bits, unsigned prefix) : bits_(bits), prefix_(prefix) {}

  Bits bits_;
  unsigned prefix_;  // of the 128
};

}  // namespace lazaret::webhook
