#pragma once

#include <boost/asio/ip/address.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lazaret::webhook {

inline constexpr std::size_t kMaxUrlBytes = 2048;

// A callback URL (RFC 3986), taken apart once: what is checked is what is connected to.
struct CallbackUrl {
  bool tls;
  std::string host;                                 // a name in lower case, or an address without brackets
  std::optional<boost::asio::ip::address> address;  // when `host` is one
  std::uint16_t port;
  std::string target;  // path and query as they were written; begins with '/'

  std::uint16_t default_port() const { return tls ? 443 : 80; }
  std::string HostField() const;  // of a request (RFC 9110 7.2)
};

// Accepts absolute http and https URLs of up to kMaxUrlBytes with nothing but host, port, path and query. The host is a
// name as ParseHostName takes it or an address in its usual form. kMalformed with the cause; the message never shows
// more of the URL than its host.
Result<CallbackUrl> ParseCallbackUrl(std::string_view url);

// `text` in lower case if it is a host name of letters, digits, '-' and '_' in labels (RFC 1123 2.1, RFC 2181 11).
// Refused with the cause: a trailing dot, anything that is not ASCII, and what some resolvers read as an address
// although it does not look like one (a last label that is a number: 2130706433, 127.1, 0x7f.1).
Result<std::string> ParseHostName(std::string_view text);

}  // namespace lazaret::webhook
