#include "fleet/scan_claims.h"

#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

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

class RedisScanClaims::Held final : public ScanClaim {
 public:
  explicit Held(std::unique_ptr<Leases::Held> lease) : lease_(std::move(lease)) {}

 private:
  const std::unique_ptr<Leases::Held> lease_;
};

RedisScanClaims::RedisScanClaims(redis::Client& client, aio::Executor executor, Settings settings, const Clock& clock,
                                 Log& log)
    : client_(client),
      settings_(settings),
      clock_(clock),
      claim_(std::string(EmbeddedLua("scan_claim.lua"))),
      leases_(client, std::move(executor), settings.lease, clock, log, "scan claim") {}

aio::Task<Result<ScanClaims::Answer>> RedisScanClaims::Ask(Digest digest, EngineInfoPtr engine) {
  const SteadyTime now = clock_.SteadyNow();
  if (now < rests_until_) co_return Fail(Errc::kUnavailable, "Redis did not answer a moment ago");
  auto lease = leases_.Prepare(ClaimKey(digest, *engine));
  std::vector<std::string> keys = {VerdictKey(digest), lease->key()};
  std::vector<std::string> arguments = {lease->token(), std::to_string(settings_.lease.count())};
  auto reply = co_await client_.Eval(claim_, std::move(keys), std::move(arguments),
                                     {.deadline = now + settings_.timeout, .repeat = redis::Repeat::kAllowed});
  if (!reply) {
    const Errc code = reply.error().code;
    if (code == Errc::kUnavailable || code == Errc::kOverloaded) lease->Disarm();
    if (code == Errc::kTimeout) rests_until_ = clock_.SteadyNow() + settings_.rest;
    co_return std::unexpected(Explain(std::move(reply.error())));
  }
  auto claimed = ReadAnswer(digest, *std::move(reply));
  if (!claimed) co_return std::unexpected(std::move(claimed.error()));
  Answer answer{.claim = nullptr, .verdict = std::move(claimed->verdict)};
  if (claimed->is_mine) {
    lease->KeepUp();
    answer.claim = std::make_unique<Held>(std::move(lease));
  } else {
    lease->Disarm();
  }
  co_return answer;
}

aio::Task<> RedisScanClaims::Stop() { co_await leases_.Stop(settings_.timeout); }

}  // namespace lazaret::fleet
