#include "redis/single_router.h"

#include <algorithm>
#include <utility>

#include "aio/deadline.h"
#include "redis/error_reply.h"

namespace lazaret::redis {
namespace {

constexpr int kMostAttempts = 3;

Link::Locate At(Endpoint endpoint) {
  return [endpoint](SteadyTime) -> aio::Task<Result<Endpoint>> {
    return [](Endpoint fixed) -> aio::Task<Result<Endpoint>> { co_return fixed; }(endpoint);
  };
}

Link::Locate Through(std::shared_ptr<Sentinels> sentinels) {
  return [sentinels](SteadyTime deadline) {
    return [](std::shared_ptr<Sentinels> asked, SteadyTime until) -> aio::Task<Result<Endpoint>> {
      co_return co_await asked->FindMaster(until);
    }(sentinels, deadline);
  };
}

LinkOptions ForMaster(LinkOptions options) {
  options.login.must_be_master = true;
  return options;
}

}  // namespace

SingleRouter::SingleRouter(Connector& connector, Endpoint endpoint, Options options, Log& log)
    : connector_(connector), link_(Link::Start(connector, options.link, At(std::move(endpoint)), {}, log)) {}

SingleRouter::SingleRouter(Connector& connector, std::unique_ptr<Sentinels> sentinels, Options options, Log& log)
    : connector_(connector),
      sentinels_(std::move(sentinels)),
      link_(Link::Start(connector, ForMaster(options.link), Through(sentinels_), {}, log)) {
  connector_.tasks().Spawn(CheckMaster(sentinels_, link_, options.check_master, options.link.connect_timeout));
}

aio::Task<> SingleRouter::CheckMaster(std::shared_ptr<Sentinels> sentinels, std::shared_ptr<Link> link,
                                      milliseconds interval, milliseconds timeout) {
  for (;;) {
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + interval);
    if (!link->is_up()) continue;
    const auto found = co_await sentinels->FindMaster(std::chrono::steady_clock::now() + timeout);
    // The old master may still be there, and take writes that are lost when it learns what happened.
    if (found && found != link->endpoint())
      link->Drop("the sentinels name another master now: " + found->Text(), false);
  }
}

aio::Task<Result<std::vector<Reply>>> SingleRouter::Route(std::uint16_t, std::vector<Command> commands,
                                                          Router::Options options) {
  Counters& counters = connector_.counters();
  for (int attempt = 1;; ++attempt) {
    ++counters.round_trips;
    counters.commands += commands.size();
    auto replies = options.blocking ? co_await link_->CallBlocking(commands, options.deadline)
                                    : co_await link_->CallAll(commands, options.deadline);
    if (replies) {
      // A master that became a replica, or a name that leads to another server now.
      if (std::ranges::any_of(*replies, [](const Reply& reply) { return ErrorWord(reply) == "READONLY"; })) {
        link_->Drop("it is a read-only replica", true);
      }
      co_return replies;
    }
    const Errc code = replies.error().code;
    const bool may_repeat =
        code == Errc::kUnavailable || (code == Errc::kDisconnected && options.repeat == Repeat::kAllowed);
    if (!may_repeat || attempt == kMostAttempts || std::chrono::steady_clock::now() >= options.deadline) {
      co_return replies;
    }
    ++counters.retries;
  }
}

}  // namespace lazaret::redis
