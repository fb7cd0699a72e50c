#include "webhook/host_pattern.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace lazaret::webhook {
namespace ip = boost::asio::ip;

namespace {

std::unexpected<Error> Malformed(std::string_view text, std::string_view why) {
  return Fail(Errc::kMalformed, fmt::format("\"{}\": {}", text, why));
}

std::optional<ip::address> ParseAddress(std::string_view text) {
  if (text.find_first_of(std::string_view("%\0", 2)) != text.npos) return std::nullopt;
  boost::system::error_code failed;
  const ip::address address = ip::make_address(std::string(text), failed);
  return failed ? std::nullopt : std::optional(address);
}

}  // namespace

Result<HostPattern> HostPattern::Parse(std::string_view text) {
  if (text.find('/') != text.npos) {
    return Malformed(text, "hosts are names or addresses, without scheme, path or prefix length");
  }
  HostPattern pattern;
  std::string_view host = text;
  const bool bare_v6 = !text.starts_with('[') && std::ranges::count(text, ':') > 1;
  const std::size_t colon = text.rfind(':');
  if (!bare_v6 && colon != text.npos && text.find(']', colon) == text.npos) {
    const std::string_view number = text.substr(colon + 1);
    unsigned port = 0;
    const auto [rest, bad] = std::from_chars(number.data(), number.data() + number.size(), port);
    if (bad != std::errc() || rest != number.data() + number.size() || port == 0 || port > 65535) {
      return Malformed(text, "the port must be a number from 1 to 65535");
    }
    pattern.port_ = static_cast<std::uint16_t>(port);
    host = text.substr(0, colon);
  }
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (brackets) host = host.substr(1, host.size() - 2);
  pattern.address_ = ParseAddress(host);
  if (brackets && !(pattern.address_ && pattern.address_->is_v6())) {
    return Malformed(text, "only an IPv6 address stands in brackets");
  }
  if (pattern.address_) return pattern;

  const bool below = host.starts_with("*.");
  if (below) host.remove_prefix(2);
  if (host.find('*') != host.npos) {
    return Malformed(text, "a star can only stand in front, as in *.example.com");
  }
  auto name = ParseHostName(host);
  if (!name) return Malformed(text, name.error().what);
  pattern.name_ = below ? '.' + *name : *std::move(name);
  return pattern;
}

bool HostPattern::MatchesHost(const CallbackUrl& url) const {
  if (url.address || address_) return url.address == address_;
  if (!name_.starts_with('.')) return url.host == name_;
  return url.host.size() > name_.size() && url.host.ends_with(name_);
}

}  // namespace lazaret::webhook
