#include "fleet/scan_claims.h"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "base/exception.h"
#include "fleet/embedded_lua.h"
#include "fleet/redis_failure.h"
#include "fleet/verdict_value.h"

namespace lazaret::fleet {
namespace {

std::string ClaimKey(const Digest& content, const EngineInfo& engine) {
  Sha256 hasher;
  hasher.Update(engine.signature_set.AsSpan());
  hasher.Update(engine.profile.AsSpan());
  return fmt::format("lz:{{{}}}:scan:{}", content.Hex(), hasher.Finish().Hex().substr(0, 32));
}

struct Claimed {
  bool is_mine;
  VerdictPtr verdict;
};

Result<Claimed> ReadAnswer(const Digest& digest, redis::Reply reply) {
  auto fields = std::move(reply).ToArray("the answer to a claim");
  if (!fields) return std::unexpected(fields.error());
  if (fields->size() != 2) return Fail(Errc::kCorrupt, "Redis answered something else to a claim");
  const auto is_mine = (*fields)[0].ToInteger("the answer to a claim");
  if (!is_mine) return std::unexpected(is_mine.error());
  Claimed claimed{.is_mine = *is_mine == 1, .verdict = nullptr};
  if ((*fields)[1].kind() != redis::Reply::Kind::kBulk) return claimed;
  // One that cannot be read is none: the scan that is claimed here repairs it.
  if (auto verdict = DecodeVerdictValue(digest, AsBytes((*fields)[1].text()))) claimed.verdict = *std::move(verdict);
  return claimed;
}

}  // namespace

// A claim that is ours, or may be: as soon as it was asked for nobody but Redis knows.
class RedisScanClaims::Held final : public ScanClaim {
 public:
  Held(RedisScanClaims& claims, std::string key, std::string token)
      : claims_(claims), key_(std::move(key)), token_(std::move(token)) {}
  ~Held() override {
    if (stop_renewing_) stop_renewing_();
    if (armed_) claims_.tasks_.Spawn(claims_.Release(std::move(key_), std::move(token_)));
  }
  void Disarm() { armed_ = false; }
  void KeepUp() { stop_renewing_ = claims_.tasks_.SpawnCancellable(claims_.Renew(key_, token_)); }

 private:
  RedisScanClaims& claims_;
  std::string key_;
  std::string token_;
  std::function<void()> stop_renewing_;
  bool armed_ = true;
};

RedisScanClaims::RedisScanClaims(redis::Client& client, aio::Executor executor, Settings settings, const Clock& clock,
                                 Log& log)
    : client_(client),
      settings_(settings),
      clock_(clock),
      log_(log),
      claim_(std::string(EmbeddedLua("scan_claim.lua"))),
      renew_(std::string(EmbeddedLua("scan_renew.lua"))),
      release_(std::string(EmbeddedLua("scan_release.lua"))),
      tasks_(std::move(executor),
             [this](std::exception_ptr error) { log_.Error("scan claim failed", {{"error", WhatOf(error)}}); }) {}

aio::Task<Result<ScanClaims::Answer>> RedisScanClaims::Ask(Digest digest, EngineInfoPtr engine) {
  const SteadyTime now = clock_.SteadyNow();
  if (now < rests_until_) co_return Fail(Errc::kUnavailable, "Redis did not answer a moment ago");
  std::string key = ClaimKey(digest, *engine);
  std::string token = fmt::format("{:016x}{:016x}", random_(), random_());
  auto held = std::make_unique<Held>(*this, key, token);
  std::vector<std::string> keys;
  keys.push_back(VerdictKey(digest));
  keys.push_back(std::move(key));
  std::vector<std::string> arguments;
  arguments.push_back(std::move(token));
  arguments.push_back(std::to_string(settings_.lease.count()));
  auto reply = co_await client_.Eval(claim_, std::move(keys), std::move(arguments),
                                     {.deadline = now + settings_.timeout, .repeat = redis::Repeat::kAllowed});
  if (!reply) {
    const Errc code = reply.error().code;
    if (code == Errc::kUnavailable || code == Errc::kOverloaded) held->Disarm();
    if (code == Errc::kTimeout) rests_until_ = clock_.SteadyNow() + settings_.rest;
    co_return std::unexpected(Explain(std::move(reply.error())));
  }
  auto claimed = ReadAnswer(digest, *std::move(reply));
  if (!claimed) co_return std::unexpected(std::move(claimed.error()));
  Answer answer{.claim = nullptr, .verdict = std::move(claimed->verdict)};
  if (claimed->is_mine) {
    held->KeepUp();
    answer.claim = std::move(held);
  } else {
    held->Disarm();
  }
  co_return answer;
}

aio::Task<> RedisScanClaims::Renew(std::string key, std::string token) {
  const std::vector<std::string> keys(1, std::move(key));
  const std::vector<std::string> arguments = {std::move(token), std::to_string(settings_.lease.count())};
  for (;;) {
    const SteadyTime next = clock_.SteadyNow() + settings_.lease / 3;
    co_await aio::SleepUntil(next);
    const auto reply = co_await client_.Eval(
        renew_, keys, arguments, {.deadline = next + settings_.lease / 3, .repeat = redis::Repeat::kAllowed});
    // Another node scans it, too: ours goes on, it is nearly done.
    if (reply && reply->integer() == 0) co_return;
  }
}

aio::Task<> RedisScanClaims::Release(std::string key, std::string token) {
  std::vector<std::string> keys(1, std::move(key));
  std::vector<std::string> arguments(1, std::move(token));
  // What is not given up ends with its lease.
  co_await client_.Eval(release_, std::move(keys), std::move(arguments),
                        {.deadline = clock_.SteadyNow() + settings_.lease, .repeat = redis::Repeat::kAllowed});
}

aio::Task<> RedisScanClaims::Stop() {
  tasks_.Close();
  const SteadyTime last = clock_.SteadyNow() + settings_.timeout;
  while (tasks_.size() > 0 && clock_.SteadyNow() < last) co_await aio::SleepUntil(clock_.SteadyNow() + milliseconds(5));
  tasks_.CancelAll();
  co_await tasks_.Wait();
}

}  // namespace lazaret::fleet
