#include "fleet/verdict_cache.h"

#include <algorithm>
#include <string>
#include <utility>

#include "fleet/embedded_lua.h"
#include "fleet/redis_failure.h"
#include "fleet/verdict_value.h"

namespace lazaret::fleet {

RedisVerdictCache::RedisVerdictCache(redis::Client& client, const Clock& clock, Settings settings)
    : client_(client), clock_(clock), settings_(settings), store_(std::string(EmbeddedLua("verdict_store.lua"))) {}

aio::Task<Result<VerdictPtr>> RedisVerdictCache::Find(Digest digest) {
  std::string key = VerdictKey(digest);
  redis::Command get{"GET", key};
  auto reply = co_await client_.Call(
      std::move(key), std::move(get),
      {.deadline = std::chrono::steady_clock::now() + settings_.timeout, .repeat = redis::Repeat::kAllowed});
  if (!reply) co_return std::unexpected(Explain(std::move(reply.error())));
  if (reply->IsNil()) co_return nullptr;
  const auto value = (*std::move(reply)).ToText("a stored verdict");
  if (!value) co_return std::unexpected(value.error());
  co_return DecodeVerdictValue(digest, AsBytes(*value));
}

aio::Task<Result<void>> RedisVerdictCache::Store(Digest digest, VerdictPtr verdict) {
  auto value = EncodeVerdictValue(digest, *verdict);
  if (!value) co_return std::unexpected(value.error());
  // A clock that was set back meanwhile makes nothing older than it may become.
  const milliseconds age = verdict->IsPassing() ? settings_.policy.passing_age : settings_.policy.max_age;
  const milliseconds left = std::min(settings_.policy.ExpiryOf(*verdict) - clock_.Now(), age);
  std::vector<std::string> keys(1, VerdictKey(digest));
  std::vector<std::string> arguments;
  arguments.push_back(*std::move(value));
  arguments.push_back(std::to_string(left.count()));
  auto reply = co_await client_.Eval(
      store_, std::move(keys), std::move(arguments),
      {.deadline = std::chrono::steady_clock::now() + settings_.store_timeout, .repeat = redis::Repeat::kAllowed});
  if (!reply) co_return std::unexpected(Explain(std::move(reply.error())));
  co_return Result<void>();
}

}  // namespace lazaret::fleet
