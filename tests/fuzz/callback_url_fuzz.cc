// What is accepted names an allowed host by plain reading of the text, without any parser of URLs.
#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "fuzz_support.h"
#include "webhook/callback_policy.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

webhook::CallbackPolicy MakePolicy() {
  auto policy = webhook::CallbackPolicy::Parse(
      {"hooks.example.com", "*.example.org:8443", "127.0.0.1", "[2001:200::1]"}, {"127.0.0.0/8"});
  if (!policy) throw std::runtime_error(policy.error().what);
  return *std::move(policy);
}

bool IsAllowed(const std::string& scheme, const std::string& authority) {
  if (authority == "127.0.0.1" || authority == "hooks.example.com") return true;
  const std::string port = scheme == "https" ? ":443" : ":80";
  const auto has_port = [&](std::string_view host) {
    const std::string_view text = authority;
    const std::size_t zeros = std::min(text.find_first_not_of('0', host.size() + 1), text.size());
    return text.starts_with(host) && text.substr(host.size()).starts_with(':') && text.substr(zeros) == port.substr(1);
  };
  if (has_port("127.0.0.1") || has_port("hooks.example.com")) return true;
  if (authority.starts_with('[')) {  // an address has many spellings: only its letters are checked
    const std::size_t end = authority.find(']');
    return end != std::string::npos && authority.find_first_not_of("[0123456789abcdef:.") == end &&
           (end + 1 == authority.size() || has_port(authority.substr(0, end + 1)));
  }
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string::npos || authority.find_first_not_of('0', colon + 1) != authority.size() - 4 ||
      !authority.ends_with("8443")) {
    return false;
  }
  const std::string host = authority.substr(0, colon);
  return host.ends_with(".example.org") && host.size() > std::string_view(".example.org").size() &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") == std::string::npos;
}

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const webhook::CallbackPolicy policy = MakePolicy();
  const std::string url(Text(data, size));
  const auto accepted = policy.Accept(url);
  Require(policy.Check(url).has_value() == accepted.has_value(), "Check and Accept agree");
  if (!accepted) {
    Require(accepted.error().code == Errc::kMalformed && !accepted.error().what.empty(), "errors say what is wrong");
    return 0;
  }
  Require(url.size() <= webhook::kMaxUrlBytes, "the length is limited");
  Require(std::ranges::all_of(url, [](char c) { return c > ' ' && c <= '~' && c != '#' && c != '\\'; }), "plain text");
  const std::size_t colon = url.find("://");
  Require(colon != std::string::npos, "there is an authority");
  const std::string scheme = Lower(url.substr(0, colon));
  Require(scheme == (accepted->tls ? "https" : "http"), "the scheme is what the text says");
  const std::size_t start = colon + 3;
  const std::size_t end = std::min(url.find_first_of("/?", start), url.size());
  const std::string authority = Lower(url.substr(start, end - start));
  Require(IsAllowed(scheme, authority), "the text names an allowed host and port");
  if (!accepted->address) Require(authority.starts_with(accepted->host), "the host is what the text says");
  const std::string rest = url.substr(end);
  Require(accepted->target == (rest.starts_with('/') ? rest : '/' + rest), "the target is the rest of the text");
  Require(!accepted->address || policy.MayConnect(*accepted->address), "an address may be connected to");
  return 0;
}
