// A URL that is accepted says what stands in it; no message ever holds the password.
#include <string>

#include "fuzz_support.h"
#include "redis/url.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

constexpr std::string_view kSecret = "q7ZkP3vX";

void CheckAccepted(const redis::Url& url, std::string_view text) {
  Require(text.size() <= redis::kMaxUrlBytes, "the length is limited");
  Require(!url.endpoints.empty() && url.endpoints.size() <= redis::kMaxHosts, "there are hosts, and not too many");
  Require(url.mode != redis::Mode::kStandalone || url.endpoints.size() == 1, "a server is one");
  Require((url.mode == redis::Mode::kSentinel) == !url.master.empty(), "sentinels have a master's name");
  Require(url.mode != redis::Mode::kCluster || url.database == 0, "a cluster has no databases");
  Require(url.credentials.user.empty() || !url.credentials.password.empty(), "a user has a password");
  Require(url.timeout.count() > 0 && url.connect_timeout.count() > 0, "times are positive");
  Require(url.tls == text.starts_with("rediss"), "TLS is what the scheme says");
  for (const redis::Endpoint& endpoint : url.endpoints) {
    if (endpoint.is_unix()) {
      Require(endpoint.path.starts_with('/') && endpoint.path.size() <= 107 && !endpoint.port, "a path is absolute");
      continue;
    }
    Require(text.find(endpoint.host) != text.npos && !endpoint.host.empty(), "the host stands in the text");
    Require(endpoint.port != 0, "there is a port");
  }
  // What it says of itself is a URL of the same place.
  bool plain = url.database == 0 || !url.endpoints.front().is_unix();
  for (const char c : url.endpoints.front().path)
    plain = plain && c > ' ' && c <= '~' && c != '%' && c != '#' && c != '?';
  if (!plain || url.endpoints.front().path.starts_with("//")) return;
  const auto again = redis::Url::Parse(url.Describe());
  Require(again && again->endpoints == url.endpoints && again->database == url.database && again->mode == url.mode,
          "the description means the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(Text(data, size));
  const auto url = redis::Url::Parse(text);
  if (url) {
    CheckAccepted(*url, text);
  } else {
    Require(url.error().code == Errc::kMalformed && !url.error().what.empty(), "errors say what is wrong");
  }
  // The same with a password in it, wherever that comes to stand.
  if (text.find(kSecret) != text.npos) return 0;
  const std::size_t at = size == 0 ? 0 : data[0] % (size + 1);
  const auto secret = redis::Url::Parse(text.substr(0, at) + ":" + std::string(kSecret) + "@" + text.substr(at));
  if (!secret) Require(secret.error().what.find(kSecret) == std::string::npos, "no message holds the password");
  const auto usual = redis::Url::Parse("redis://u:" + std::string(kSecret) + "@" + text);
  if (!usual) Require(usual.error().what.find(kSecret) == std::string::npos, "no message holds the password");
  if (usual) Require(usual->Describe().find(kSecret) == std::string::npos, "no description holds the password");
  return 0;
}
