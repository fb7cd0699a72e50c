#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "aio/task.h"
#include "base/log.h"
#include "base/result.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/router.h"

namespace lazaret::http {

inline constexpr std::size_t kMaxRollbackReason = 500;  // bytes

// The operator's calls about the signatures:
//   GET /v1/signatures                    where they stand, as Parts::describe has it
//   POST /v1/signatures/reload?force      {"changed":true,"signatures":{...}} once the directory's are in use;
//                                         "changed":false when they were already
//   POST /v1/signatures/rollback?reason=  the same for those of before
// 409 "no-signatures" when the server has none to care for, 409 "signatures-not-changed" with the reason when those in
// use stay. A change goes on when the client leaves.
class SignatureEndpoint {
 public:
  // Whether other signatures are in use now. kUnavailable or kNotFound with the reason why not.
  using Changed = Result<bool>;
  struct Parts {
    std::string missing;                    // why the server has no signatures to care for; empty when it has
    std::function<std::string()> describe;  // JSON. These are empty without signatures; any thread calls them
    std::function<aio::Task<Changed>(bool force)> reload;
    std::function<aio::Task<Changed>(std::string reason)> rollback;
  };

  SignatureEndpoint(Parts parts, Log& log) : parts_(std::move(parts)), log_(log) {}
  SignatureEndpoint(const SignatureEndpoint&) = delete;
  SignatureEndpoint& operator=(const SignatureEndpoint&) = delete;

  // They refer to this object.
  std::vector<Route> Routes();
  static std::vector<std::string_view> Patterns();

 private:
  static const std::array<Call<SignatureEndpoint>, 3> kCalls;

  aio::Task<Response> Show(Exchange& exchange);
  aio::Task<Response> Reload(Exchange& exchange);
  aio::Task<Response> Rollback(Exchange& exchange);
  aio::Task<Response> AnswerWhenDone(Exchange& exchange, aio::Task<Changed> change);

  const Parts parts_;
  Log& log_;
};

}  // namespace lazaret::http
