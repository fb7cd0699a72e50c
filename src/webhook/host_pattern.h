#pragma once

#include <boost/asio/ip/address.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "webhook/callback_url.h"

namespace lazaret::webhook {

// One entry of webhook.hosts: "hooks.example.com", "*.example.com" (every name below it, not itself), "192.0.2.1",
// "[2001:db8::1]", each with or without ":port". Without a port, the usual one of the URL's scheme is meant.
class HostPattern {
 public:
  // kMalformed with the cause.
  static Result<HostPattern> Parse(std::string_view text);

  bool MatchesHost(const CallbackUrl& url) const;
  bool MatchesPort(const CallbackUrl& url) const { return url.port == port_.value_or(url.default_port()); }

 private:
  HostPattern() = default;

  std::string name_;  // with the dot in front when it stands for the names below
  std::optional<boost::asio::ip::address> address_;
  std::optional<std::uint16_t> port_;
};

}  // namespace lazaret::webhook
