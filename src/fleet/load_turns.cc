#include "fleet/load_turns.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "fleet/embedded_lua.h"
#include "fleet/redis_failure.h"

namespace lazaret::fleet {
namespace {

constexpr const char* kTurnKey = "lz:{nodes}:load-turn";
constexpr milliseconds kGoodbye{250};

}  // namespace

class LoadTurns::Turn final : public LoadTurn {
 public:
  // Null: without a lease.
  explicit Turn(std::unique_ptr<Leases::Held> held) : held_(std::move(held)) {}

 private:
  const std::unique_ptr<Leases::Held> held_;
};

LoadTurns::LoadTurns(redis::Client& client, aio::Executor executor, std::string node, Settings settings,
                     const Clock& clock, Log& log)
    : client_(client),
      node_(std::move(node)),
      settings_(settings),
      clock_(clock),
      log_(log),
      take_(std::string(EmbeddedLua("turn_take.lua"))),
      leases_(client, std::move(executor), settings.lease, clock, log, "the turn to load signatures") {}

aio::Task<Result<std::string>> LoadTurns::Take(const Leases::Held& held) {
  std::vector<std::string> keys(1, held.key());
  std::vector<std::string> arguments = {held.token(), std::to_string(settings_.lease.count())};
  auto reply =
      co_await client_.Eval(take_, std::move(keys), std::move(arguments),
                            {.deadline = clock_.SteadyNow() + settings_.lease / 3, .repeat = redis::Repeat::kAllowed});
  if (!reply) co_return std::unexpected(Explain(std::move(reply.error())));
  if (reply->kind() != redis::Reply::Kind::kBulk) co_return Fail(Errc::kCorrupt, "Redis answered something else");
  co_return reply->text();
}

aio::Task<Result<std::unique_ptr<LoadTurn>>> LoadTurns::Ask(OnWait on_wait) {
  const SteadyTime last = clock_.SteadyNow() + settings_.max_wait;
  const milliseconds pause = std::clamp<milliseconds>(settings_.lease / 15, milliseconds(20), seconds(1));
  // Destroyed when the caller gives up: then it is given up in Redis, too, where it may have been taken meanwhile.
  auto held = leases_.Prepare(kTurnKey, node_ + "/");
  SteadyTime answered_at = clock_.SteadyNow();
  std::string waiting_for;
  for (;;) {
    const auto token = co_await Take(*held);
    const SteadyTime now = clock_.SteadyNow();
    if (token && *token == held->token()) {
      held->KeepUp();
      co_return std::make_unique<Turn>(std::move(held));
    }
    if (token) {
      answered_at = now;
      std::string node = token->substr(0, token->find('/'));
      if (node != waiting_for) on_wait(node);
      waiting_for = std::move(node);
    } else if (now - answered_at >= settings_.lease) {
      log_.Warning("loading signatures without waiting for a turn: Redis does not say whose it is",
                   {{"error", token.error().what}});
      co_return std::make_unique<Turn>(nullptr);
    }
    if (now >= last) {
      co_return Fail(Errc::kTimeout, fmt::format("it was not this node's turn within {} s, but that of node {}",
                                                 std::chrono::duration<double>(settings_.max_wait).count(),
                                                 waiting_for.empty() ? "?" : waiting_for));
    }
    co_await aio::SleepUntil(now + pause);
  }
}

aio::Task<> LoadTurns::Stop() { co_await leases_.Stop(kGoodbye); }

}  // namespace lazaret::fleet
