#include "webhook/callback_url.h"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace lazaret::webhook {
namespace ip = boost::asio::ip;
namespace urls = boost::urls;

namespace {

std::unexpected<Error> Malformed(std::string what) { return Fail(Errc::kMalformed, std::move(what)); }

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool IsLower(char c) { return c >= 'a' && c <= 'z'; }

std::string_view View(urls::string_view text) { return {text.data(), text.size()}; }

// As inet_aton(3) and the URL standard of the browsers read the end of an address.
bool IsNumber(std::string_view label) {
  if (label.starts_with("0x")) {
    label.remove_prefix(2);
    return std::ranges::all_of(label, [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); });
  }
  return std::ranges::all_of(label, IsDigit);
}

bool IsLabel(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::ranges::all_of(label, [](char c) { return IsLower(c) || IsDigit(c) || c == '-' || c == '_'; });
}

Result<std::uint16_t> PortOf(const urls::url_view& url, std::uint16_t usual) {
  if (!url.has_port()) return usual;
  const std::string_view text = View(url.port());
  unsigned port = 0;
  const auto [rest, bad] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (bad != std::errc() || rest != text.data() + text.size() || text.size() > 5 || port == 0 || port > 65535) {
    return Malformed("the port of the callback URL is not a number from 1 to 65535");
  }
  return static_cast<std::uint16_t>(port);
}

}  // namespace

std::string CallbackUrl::HostField() const {
  std::string field = address && address->is_v6() ? '[' + host + ']' : host;
  if (port != default_port()) field += fmt::format(":{}", port);
  return field;
}

Result<std::string> ParseHostName(std::string_view text) {
  std::string name(text);
  std::ranges::transform(name, name.begin(), ToLower);
  const auto malformed = [&](std::string_view why) { return Malformed(fmt::format("the host \"{}\" {}", name, why)); };
  if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
    return Malformed("the host has characters that are not ASCII: write the name in its xn-- form (punycode)");
  }
  if (name.size() > 253) return Malformed("the host has more than 253 characters");
  if (name.ends_with('.')) return malformed("ends with a dot: write it without");
  std::string_view label;
  for (std::size_t at = 0; at <= name.size(); at += label.size() + 1) {
    label = std::string_view(name).substr(at, name.find('.', at) - at);
    if (!IsLabel(label)) return malformed("is not a host name");
  }
  if (IsNumber(label)) return malformed("is neither a name nor an address in its usual form");
  return name;
}

Result<CallbackUrl> ParseCallbackUrl(std::string_view url) {
  if (url.size() > kMaxUrlBytes) {
    return Malformed(fmt::format("the callback URL has {} bytes; {} are allowed", url.size(), kMaxUrlBytes));
  }
  if (std::ranges::any_of(url, [](char c) { return c <= ' ' || c > '~'; })) {
    return Malformed("the callback URL has a space, a control character or one that is not ASCII: percent-encode it");
  }
  constexpr const char* kNoUrl = "the callback is not a URL such as https://hooks.example.com/path";
  const auto parsed = urls::parse_uri({url.data(), url.size()});
  if (!parsed) return Malformed(kNoUrl);
  const urls::url_view& view = *parsed;
  if (view.scheme_id() != urls::scheme::https && view.scheme_id() != urls::scheme::http) {
    return Malformed("the callback URL must begin with https:// or http://");
  }
  if (!view.has_authority() || view.encoded_host().empty()) return Malformed("the callback URL has no host");
  if (view.has_userinfo()) return Malformed("the callback URL must not have a user name or a password before its host");
  if (view.has_fragment()) return Malformed("the callback URL must not have a fragment (#)");

  CallbackUrl result{
      .tls = view.scheme_id() == urls::scheme::https, .host = {}, .address = {}, .port = 0, .target = {}};
  switch (view.host_type()) {
    case urls::host_type::ipv4: result.address = ip::address_v4(view.host_ipv4_address().to_uint()); break;
    case urls::host_type::ipv6: {
      const auto bytes = view.host_ipv6_address().to_bytes();
      ip::address_v6::bytes_type same;
      std::ranges::copy(bytes, same.begin());
      result.address = ip::address_v6(same);
      break;
    }
    case urls::host_type::name: {
      auto name = ParseHostName(View(view.encoded_host()));
      if (!name) return std::unexpected(name.error());
      result.host = *std::move(name);
      break;
    }
    case urls::host_type::none:
    case urls::host_type::ipvfuture: return Malformed("the host of the callback URL is neither a name nor an address");
  }
  if (result.address) result.host = result.address->to_string();
  const auto port = PortOf(view, result.default_port());
  if (!port) return std::unexpected(port.error());
  result.port = *port;
  const std::string_view target = View(view.encoded_target());
  // Boost.URL 1.81 takes "http://127.0.0.1.evil.net/" for the host 127.0.0.1 and the path ".evil.net/".
  if (!target.empty() && !target.starts_with('/') && !target.starts_with('?')) return Malformed(kNoUrl);
  result.target = target.starts_with('/') ? target : fmt::format("/{}", target);
  return result;
}

}  // namespace lazaret::webhook
