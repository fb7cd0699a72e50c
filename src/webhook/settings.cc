#include "webhook/settings.h"

#include <fmt/format.h>

#include "webhook/callback_policy.h"
#include "webhook/signature.h"

namespace lazaret::webhook {

Result<void> CheckSettings(const Settings& settings) {
  if (const auto policy = CallbackPolicy::Parse(settings.hosts, settings.private_networks); !policy) {
    return std::unexpected(policy.error());
  }
  if (const auto signer = Signer::Parse(settings.secrets); !signer) return std::unexpected(signer.error());
  if (!settings.hosts.empty() && settings.secrets.empty()) {
    return Fail(
        Errc::kMalformed,
        "webhook.hosts allows callbacks, but webhook.secret_file has nothing to sign them with; make a secret with: "
        "echo \"whsec_$(openssl rand -base64 32)\"");
  }
  const auto out_of_range = [](const char* name, auto least, auto most, const char* unit) {
    return Fail(Errc::kMalformed, fmt::format("webhook.{} must be from {} to {}{}", name, least, most, unit));
  };
  if (settings.attempts < 1 || settings.attempts > kMaxAttempts) return out_of_range("attempts", 1, kMaxAttempts, "");
  if (settings.timeout < milliseconds(1) || settings.timeout > kMaxTimeout) {
    return out_of_range("timeout", 1, kMaxTimeout.count(), " ms");
  }
  if (settings.concurrency < 1 || settings.concurrency > kMaxConcurrency) {
    return out_of_range("concurrency", 1, kMaxConcurrency, "");
  }
  if (settings.concurrency_per_host < 1 || settings.concurrency_per_host > settings.concurrency) {
    return out_of_range("concurrency_per_host", 1, settings.concurrency, " (webhook.concurrency)");
  }
  return {};
}

}  // namespace lazaret::webhook
