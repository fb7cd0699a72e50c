#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lazaret::webhook {

// Signs messages as the Standard Webhooks convention wants it (standardwebhooks.com): HMAC-SHA256 (RFC 2104).
// Immutable: any thread.
class Signer {
 public:
  static constexpr std::size_t kMinSecretBytes = 24;
  static constexpr std::size_t kMaxSecretBytes = 64;

  // Each secret is "whsec_" and base64 (RFC 4648 4, with its padding); more than one while secrets are exchanged: the
  // receiver may know any of them. kMalformed names the setting and the place in the list, never the secret.
  static Result<Signer> Parse(const std::vector<std::string>& secrets);
  Signer(Signer&&) = default;
  Signer& operator=(Signer&&) = default;
  ~Signer();

  // The value of `webhook-signature`: "v1,<base64>" for each secret, with spaces between. `timestamp` in seconds since
  // 1970, as in `webhook-timestamp`.
  std::string Sign(std::string_view message_id, std::int64_t timestamp, std::string_view body) const;

 private:
  explicit Signer(std::vector<std::vector<unsigned char>> keys) : keys_(std::move(keys)) {}

  std::vector<std::vector<unsigned char>> keys_;
};

}  // namespace lazaret::webhook
