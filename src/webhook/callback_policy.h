#pragma once

#include <boost/asio/ip/address.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "webhook/callback_url.h"
#include "webhook/host_pattern.h"
#include "webhook/network.h"

namespace lazaret::webhook {

// Whom callbacks may reach, so that nobody can make this server speak to what only it can reach (server-side request
// forgery). Immutable: any thread.
class CallbackPolicy {
 public:
  // `hosts` as HostPattern takes them; none: there are no callbacks. `private_networks` as Network takes them: they may
  // be reached although they are not public. kMalformed names the setting and the entry.
  static Result<CallbackPolicy> Parse(const std::vector<std::string>& hosts,
                                      const std::vector<std::string>& private_networks);

  bool is_on() const { return !hosts_.empty(); }

  // Whether `url` may be a callback; to be asked when it is submitted. kMalformed with the cause and the cure, for the
  // client. Resolves no names: where they lead is for MayConnect.
  Result<void> Check(std::string_view url) const;
  // The same, and the URL taken apart; to be asked again before it is used.
  Result<CallbackUrl> Accept(std::string_view url) const;

  // Whether a connection to `address`, which a name resolved to just now, may be made.
  bool MayConnect(const boost::asio::ip::address& address) const;

 private:
  CallbackPolicy() = default;

  std::vector<HostPattern> hosts_;
  std::vector<Network> private_networks_;
};

}  // namespace lazaret::webhook
