#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aio/resolver.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "webhook/callback_policy.h"
#include "webhook/callback_url.h"

namespace lazaret::webhook {

inline constexpr std::size_t kMaxAddresses = 8;  // of one name that are tried

struct PostRequest {
  CallbackUrl url;
  std::vector<std::pair<std::string_view, std::string>> fields;  // as they go out; the rest of the head is ours
  std::string body;
};

// Makes single HTTP/1.1 POST requests (RFC 9112), each on a connection of its own, directly and without following
// redirects. One executor. Wait for every Post before it is destroyed.
class HttpPoster {
 public:
  // Over TLS (1.2 or newer) the receiver must show a certificate for its host name from an authority in `ca_file`
  // (PEM), or from one that the system trusts when that is empty. kUnavailable names webhook.ca_file when it cannot be
  // read. `policy` decides about each address; it must outlive the poster.
  static Result<std::unique_ptr<HttpPoster>> Make(const std::string& ca_file, const CallbackPolicy& policy,
                                                  aio::Lookup lookup, std::size_t max_lookups);
  ~HttpPoster();

  // The status that came back, whatever it is (200 to 999). It counts from the moment the head of the answer is there;
  // the body only is awaited so that the receiver can end in good order. Everything until then must be over at
  // `deadline`. Failures say what happened with host and address alone: kTimeout; kUnavailable when there is no
  // connection or no trust; kDisconnected; kMalformed for an answer that AnswerReader refuses, or when every
  // address is refused by the policy.
  aio::Task<Result<unsigned>> Post(PostRequest request, SteadyTime deadline);

 private:
  struct Tls;
  class Attempt;
  HttpPoster(std::unique_ptr<Tls> tls, const CallbackPolicy& policy, aio::Lookup lookup, std::size_t max_lookups);

  const std::unique_ptr<Tls> tls_;
  const CallbackPolicy& policy_;
  aio::Resolver resolver_;
};

}  // namespace lazaret::webhook
