#include "redis/cluster_router.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <set>
#include <utility>

#include "aio/deadline.h"
#include "redis/slot.h"

namespace lazaret::redis {
namespace asio = boost::asio;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr int kMostLosses = 2;

SteadyTime Now() { return std::chrono::steady_clock::now(); }

}  // namespace

// The state of one call that may be sent on, repeated in part, or held up.
class ClusterRouter::Call {
 public:
  Call(ClusterRouter& router, std::uint16_t slot, std::vector<Command> commands, Router::Options options)
      : router_(router), slot_(slot), commands_(std::move(commands)), options_(options), replies_(commands_.size()) {
    for (std::size_t i = 0; i < commands_.size(); ++i) open_.push_back(i);
  }

  aio::Task<Result<std::vector<Reply>>> Run() {
    for (;;) {
      if (to_ == nullptr) to_ = router_.slots_[slot_];
      if (to_ == nullptr) {
        co_await router_.AwaitRefresh(options_.deadline);
        to_ = router_.slots_[slot_];
        if (to_ == nullptr || router_.stopped_) {
          co_return Fail(Errc::kUnavailable,
                         fmt::format("no server of the Redis cluster is known for slot {}: {}", slot_,
                                     router_.failure_ ? router_.failure_->what : "nobody has it"));
        }
      }
      auto sent = co_await Send();
      if (!sent) {
        if (!co_await MayRepeat(sent.error())) co_return std::unexpected(std::move(sent.error()));
        continue;
      }
      Sort(*std::move(sent));
      if (open_.empty() || router_.stopped_ || Now() >= options_.deadline) co_return std::move(replies_);
      if (!co_await Follow()) co_return std::move(replies_);
    }
  }

 private:
  Counters& counters() { return router_.connector_.counters(); }

  // The replies to the open commands.
  aio::Task<Result<std::vector<Reply>>> Send() {
    std::vector<Command> commands;
    for (const std::size_t i : open_) {
      if (asking_) commands.push_back({"ASKING"});
      commands.push_back(commands_[i]);
    }
    ++counters().round_trips;
    counters().commands += commands.size();
    auto replies = options_.blocking ? co_await to_->CallBlocking(commands, options_.deadline)
                                     : co_await to_->CallAll(commands, options_.deadline);
    if (!replies || !asking_) co_return replies;
    std::vector<Reply> wanted;
    for (std::size_t i = 1; i < replies->size(); i += 2) wanted.push_back(std::move((*replies)[i]));
    co_return wanted;
  }

  // Puts the replies in their places; what has to be sent again stays open.
  void Sort(std::vector<Reply> replies) {
    redirection_.reset();
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      Reply& reply = replies[i];
      const std::string_view word = ErrorWord(reply);
      const auto redirection = ParseRedirection(reply);
      if (redirection || word == "TRYAGAIN" || word == "CLUSTERDOWN") {
        // What is redirected elsewhere than the first is sent there all the same, and redirected again.
        if (redirection && !redirection_) redirection_ = redirection;
        open.push_back(open_[i]);
      }
      replies_[open_[i]] = std::move(reply);
    }
    open_ = std::move(open);
  }

  // False when it is enough.
  aio::Task<bool> Follow() {
    if (redirection_) {
      if (++redirections_ > router_.options_.max_redirections) co_return false;
      ++counters().redirections;
      Endpoint endpoint{.host = redirection_->host, .port = redirection_->port, .path = {}};
      if (endpoint.host.empty() && to_->endpoint()) endpoint.host = to_->endpoint()->host;
      to_ = router_.LinkTo(endpoint);
      asking_ = redirection_->ask;
      if (!asking_) {
        router_.slots_[redirection_->slot] = to_;
        router_.RequestRefresh();
      }
      co_return true;
    }
    const SteadyTime next = Now() + router_.options_.first_pause * (1 << pauses_);
    if (++pauses_ > router_.options_.max_pauses || next >= options_.deadline) co_return false;
    ++counters().retries;
    router_.RequestRefresh();
    co_await aio::SleepUntil(next);
    // TRYAGAIN while a slot moves comes from the node that ASK led to; the one that has the slot leads there again.
    to_ = nullptr;
    asking_ = false;
    co_return true;
  }

  // After commands that got no reply.
  aio::Task<bool> MayRepeat(const Error& error) {
    const bool executed = error.code == Errc::kDisconnected;
    // After a time-out, too: a master that hangs is replaced as well.
    if (error.code != Errc::kOverloaded) router_.RequestRefresh();
    if (error.code != Errc::kUnavailable && !executed) co_return false;
    if (executed && options_.repeat == Repeat::kNever) co_return false;
    if (++losses_ > kMostLosses || router_.stopped_ || Now() >= options_.deadline) co_return false;
    const LinkPtr before = std::exchange(to_, nullptr);
    asking_ = false;
    co_await router_.AwaitRefresh(options_.deadline);
    // A master that is known to be down, and that nobody has taken over from: refuse at once.
    if (!executed && router_.slots_[slot_] == before && !before->is_up()) co_return false;
    ++counters().retries;
    co_return true;
  }

  ClusterRouter& router_;
  const std::uint16_t slot_;
  const std::vector<Command> commands_;
  const Router::Options options_;
  std::vector<Reply> replies_;
  std::vector<std::size_t> open_;  // commands without a final reply
  LinkPtr to_;                     // null: to who has the slot
  bool asking_ = false;
  std::optional<Redirection> redirection_;
  int redirections_ = 0;
  int pauses_ = 0;
  int losses_ = 0;
};

ClusterRouter::ClusterRouter(Connector& connector, std::vector<Endpoint> seeds, Options options, Log& log)
    : connector_(connector),
      seeds_(std::move(seeds)),
      options_(std::move(options)),
      log_(log),
      slots_(kSlots),
      refreshed_(std::make_shared<aio::Broadcast<bool>>()),
      wake_(connector.tasks().executor()) {
  if (!connector_.tasks().Spawn(KeepFresh())) Stop();
}

aio::Task<Result<std::vector<Reply>>> ClusterRouter::Route(std::uint16_t slot, std::vector<Command> commands,
                                                           Router::Options options) {
  Call call(*this, slot, std::move(commands), options);
  co_return co_await call.Run();
}

void ClusterRouter::Stop() {
  if (std::exchange(stopped_, true)) return;
  wake_.cancel();
  refreshed_->Set(false);
  for (const auto& [endpoint, link] : std::exchange(nodes_, {})) link->Retire(Link::Ending::kNow);
}

bool ClusterRouter::HasLostMaster() const {
  return nodes_.empty() || std::ranges::any_of(nodes_, [](const auto& node) { return !node.second->is_up(); });
}

void ClusterRouter::RequestRefresh() {
  if (std::exchange(refresh_requested_, true)) return;
  wake_.cancel();
}

aio::Task<> ClusterRouter::AwaitRefresh(SteadyTime deadline) {
  const auto soon = refreshed_;
  RequestRefresh();
  if (!stopped_ && !failure_) co_await soon->Wait(deadline);
}

aio::Task<> ClusterRouter::KeepFresh() {
  while (!stopped_) {
    if (refresh_requested_) {
      // The first one at once, others not in a row.
      const SteadyTime earliest =
          refreshed_at_ == SteadyTime::min() ? refreshed_at_ : refreshed_at_ + options_.refresh_soon;
      co_await aio::SleepUntil(earliest);
    } else {
      wake_.expires_after(HasLostMaster() ? options_.refresh_soon : options_.refresh);
      co_await wake_.async_wait(kTuple);
    }
    if (stopped_) break;
    refresh_requested_ = false;
    const auto result = co_await Refresh();
    if (!result && !failure_) log_.Warning("redis cluster unavailable", {{"why", result.error().what}});
    failure_ = result ? std::nullopt : std::optional(result.error());
    refreshed_at_ = Now();
    if (stopped_) break;
    std::exchange(refreshed_, std::make_shared<aio::Broadcast<bool>>())->Set(result.has_value());
  }
}

aio::Task<Result<void>> ClusterRouter::Refresh() {
  ++connector_.counters().refreshes;
  auto ranges = co_await AskAnyone();
  if (!ranges) co_return std::unexpected(std::move(ranges.error()));
  if (!stopped_) Apply(*ranges);
  co_return Result<void>{};
}

aio::Task<Result<std::vector<SlotRange>>> ClusterRouter::AskAnyone() {
  std::vector<LinkPtr> up;
  for (const auto& [endpoint, link] : nodes_) {
    if (link->is_up()) up.push_back(link);
  }
  // Another one each time: one that is cut off from the others would go on to tell what it knew.
  ++next_asked_;
  for (std::size_t i = 0; i < up.size(); ++i) {
    const LinkPtr link = up[(next_asked_ + i) % up.size()];
    const Command question = {"CLUSTER", "SLOTS"};
    const auto replies = co_await link->CallAll({&question, 1}, Now() + options_.link.connect_timeout);
    if (!replies) continue;
    auto ranges = ParseClusterSlots(replies->front(), *link->endpoint());
    if (ranges && !ranges->empty()) co_return ranges;
  }
  Error last{Errc::kUnavailable, "no node is known"};
  for (std::size_t i = 0; i < seeds_.size() && !stopped_; ++i) {
    auto ranges = co_await AskSeed(seeds_[(next_asked_ + i) % seeds_.size()], Now() + options_.link.connect_timeout);
    if (ranges) co_return ranges;
    last = std::move(ranges.error());
  }
  co_return std::unexpected(std::move(last));
}

aio::Task<Result<std::vector<SlotRange>>> ClusterRouter::AskSeed(Endpoint seed, SteadyTime deadline) {
  auto connection = co_await connector_.Open(seed, options_.link.login, deadline);
  if (!connection) co_return std::unexpected(std::move(connection.error()));
  const struct CloseAtEnd {
    Connection& one;
    ~CloseAtEnd() { one.Close({Errc::kUnavailable, "the cluster was asked"}); }
  } end{**connection};
  const auto reply = co_await (*connection)->Call({"CLUSTER", "SLOTS"}, deadline);
  if (!reply) co_return std::unexpected(reply.error());
  if (reply->IsError()) {
    co_return Fail(Errc::kUnavailable,
                   fmt::format("{} does not tell its cluster: {}", seed.Text(), ErrorOf(*reply).what));
  }
  auto ranges = ParseClusterSlots(*reply, seed);
  if (ranges && ranges->empty()) {
    co_return Fail(Errc::kUnavailable, fmt::format("{} is in a cluster without any slots", seed.Text()));
  }
  co_return ranges;
}

ClusterRouter::LinkPtr ClusterRouter::LinkTo(const Endpoint& endpoint) {
  LinkPtr& link = nodes_[endpoint];
  if (link == nullptr) {
    auto locate = [endpoint](SteadyTime) {
      return [](Endpoint fixed) -> aio::Task<Result<Endpoint>> { co_return fixed; }(endpoint);
    };
    link = Link::Start(connector_, options_.link, locate, [this] { RequestRefresh(); }, log_);
  }
  return link;
}

void ClusterRouter::Apply(const std::vector<SlotRange>& ranges) {
  std::ranges::fill(slots_, nullptr);
  std::set<Endpoint> masters;
  for (const SlotRange& range : ranges) {
    masters.insert(range.master);
    std::fill(slots_.begin() + range.first, slots_.begin() + range.last + 1, LinkTo(range.master));
  }
  std::erase_if(nodes_, [&](const auto& node) {
    if (masters.contains(node.first)) return false;
    node.second->Retire(Link::Ending::kAnswered);
    return true;
  });
}

}  // namespace lazaret::redis
