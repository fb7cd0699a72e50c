#include "webhook/callback_policy.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace lazaret::webhook {

Result<CallbackPolicy> CallbackPolicy::Parse(const std::vector<std::string>& hosts,
                                             const std::vector<std::string>& private_networks) {
  CallbackPolicy policy;
  for (const std::string& text : hosts) {
    auto pattern = HostPattern::Parse(text);
    if (!pattern) return Fail(Errc::kMalformed, "webhook.hosts: " + pattern.error().what);
    policy.hosts_.push_back(*std::move(pattern));
  }
  for (const std::string& text : private_networks) {
    auto network = Network::Parse(text);
    if (!network) return Fail(Errc::kMalformed, "webhook.private_networks: " + network.error().what);
    policy.private_networks_.push_back(*std::move(network));
  }
  return policy;
}

Result<void> CallbackPolicy::Check(std::string_view url) const {
  const auto accepted = Accept(url);
  if (!accepted) return std::unexpected(accepted.error());
  return {};
}

Result<CallbackUrl> CallbackPolicy::Accept(std::string_view url) const {
  if (!is_on()) return Fail(Errc::kMalformed, "callbacks are off: no host is allowed in webhook.hosts");
  auto parsed = ParseCallbackUrl(url);
  if (!parsed) return parsed;
  bool host_allowed = false;
  bool allowed = false;
  for (const HostPattern& pattern : hosts_) {
    if (!pattern.MatchesHost(*parsed)) continue;
    host_allowed = true;
    allowed = allowed || pattern.MatchesPort(*parsed);
  }
  if (!host_allowed) {
    return Fail(Errc::kMalformed,
                fmt::format("the callback's host {} is not one of those in webhook.hosts", parsed->host));
  }
  if (!allowed) {
    return Fail(Errc::kMalformed,
                fmt::format("port {} of the callback's host {} is not allowed: webhook.hosts must name "
                            "the host with this port",
                            parsed->port, parsed->host));
  }
  if (parsed->address && !MayConnect(*parsed->address)) {
    return Fail(Errc::kMalformed, fmt::format("the callback's address {} is not public: webhook.private_networks must "
                                              "list it",
                                              parsed->host));
  }
  return parsed;
}

bool CallbackPolicy::MayConnect(const boost::asio::ip::address& address) const {
  return IsPublic(address) ||
         std::ranges::any_of(private_networks_, [&](const Network& network) { return network.Contains(address); });
}

}  // namespace lazaret::webhook
