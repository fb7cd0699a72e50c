#include "redis/link.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <random>
#include <utility>

#include "aio/deadline.h"

namespace lazaret::redis {
namespace asio = boost::asio;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
const Error kRetired{Errc::kUnavailable, "the connection to this Redis server was given up"};

}  // namespace

// Holds a connection for one blocking call; closes it unless it is given back.
class Link::Blocking {
 public:
  explicit Blocking(ConnectionPtr connection) : connection_(std::move(connection)) {}
  ~Blocking() {
    if (connection_) connection_->Close({Errc::kCancelled, "nobody waits for the blocking command any more"});
  }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;
  Connection* operator->() const { return connection_.get(); }
  ConnectionPtr Release() { return std::exchange(connection_, nullptr); }

 private:
  ConnectionPtr connection_;
};

Link::Link(Connector& connector, LinkOptions options, Locate locate, std::function<void()> on_lost, Log& log)
    : connector_(connector),
      options_(std::move(options)),
      locate_(std::move(locate)),
      on_lost_(std::move(on_lost)),
      log_(log),
      backoff_(options_.first_pause, options_.longest_pause, std::random_device()()),
      attempt_(std::make_shared<aio::Broadcast<Result<ConnectionPtr>>>()),
      pause_(connector.tasks().executor()) {}

std::shared_ptr<Link> Link::Start(Connector& connector, LinkOptions options, Locate locate,
                                  std::function<void()> on_lost, Log& log) {
  const std::shared_ptr<Link> link(new Link(connector, std::move(options), std::move(locate), std::move(on_lost), log));
  if (!connector.tasks().Spawn(Run(link))) link->Retire(Ending::kNow);
  return link;
}

aio::Task<> Link::Run(std::shared_ptr<Link> self) {
  const struct RetireAtEnd {
    Link& link;
    ~RetireAtEnd() { link.Retire(Ending::kNow); }
  } end{*self};
  while (!self->retired_) {
    auto connected = co_await self->Connect();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (self->retired_ || state.cancelled() != asio::cancellation_type::none) break;
    bool pause = !connected;
    if (connected) {
      self->connection_ = *connected;
      self->down_.reset();
      self->reported_ = false;
      self->log_.Info("redis connected", {{"server", self->endpoint_->Text()}});
      std::exchange(self->attempt_, std::make_shared<aio::Broadcast<Result<ConnectionPtr>>>())->Set(*connected);
      const auto since = std::chrono::steady_clock::now();
      ++self->connector_.counters().up;
      const auto why = co_await (*connected)->closed().Wait(SteadyTime::max());
      --self->connector_.counters().up;
      if (self->retired_ || !why) break;
      self->connection_ = nullptr;
      ++self->connector_.counters().lost;
      self->log_.Warning("redis connection lost", {{"server", self->endpoint_->Text()}, {"why", why->what}});
      // A server may accept and break again and again: only the first loss after a while is answered without a pause.
      if (std::chrono::steady_clock::now() - since > self->options_.longest_pause) {
        self->backoff_.Reset();
        self->lost_lately_ = false;
      }
      pause = std::exchange(self->pause_after_drop_, false) || self->lost_lately_;
      self->lost_lately_ = true;
      if (pause) self->down_ = Error{Errc::kUnavailable, "Redis is not connected: " + why->what};
    } else {
      self->down_ = Error{Errc::kUnavailable, connected.error().what};
      self->Report(*self->down_);
      std::exchange(self->attempt_, std::make_shared<aio::Broadcast<Result<ConnectionPtr>>>())
          ->Set(std::unexpected(*self->down_));
    }
    if (self->on_lost_) self->on_lost_();
    if (!pause) continue;
    self->pause_.expires_after(self->backoff_.Next());
    co_await self->pause_.async_wait(kTuple);
  }
}

aio::Task<Result<Link::ConnectionPtr>> Link::Connect() {
  const SteadyTime deadline = std::chrono::steady_clock::now() + options_.connect_timeout;
  auto located = co_await locate_(deadline);
  if (!located) co_return std::unexpected(std::move(located.error()));
  endpoint_ = *std::move(located);
  co_return co_await connector_.Open(*endpoint_, options_.login, deadline);
}

void Link::Report(const Error& why) {
  if (std::exchange(reported_, true)) return;
  log_.Warning("redis unavailable", {{"server", endpoint_ ? endpoint_->Text() : ""}, {"why", why.what}});
}

aio::Task<Result<Link::ConnectionPtr>> Link::WaitForConnection(SteadyTime deadline) {
  if (retired_) co_return std::unexpected(kRetired);
  if (is_up()) co_return connection_;
  if (down_) co_return std::unexpected(*down_);
  const auto attempt = attempt_;
  auto connected = co_await attempt->Wait(deadline);
  if (connected) co_return *std::move(connected);
  co_return Fail(Errc::kUnavailable, "there is no connection to Redis yet");
}

aio::Task<Result<std::vector<Reply>>> Link::CallAll(std::span<const Command> commands, SteadyTime deadline) {
  if (is_up() && !retired_) return connection_->CallAll(commands, deadline);
  return CallWhenConnected(commands, deadline);
}

aio::Task<Result<std::vector<Reply>>> Link::CallWhenConnected(std::span<const Command> commands, SteadyTime deadline) {
  const auto self = shared_from_this();
  auto connection = co_await WaitForConnection(deadline);
  if (!connection) co_return std::unexpected(std::move(connection.error()));
  co_return co_await (*connection)->CallAll(commands, deadline);
}

aio::Task<Result<std::vector<Reply>>> Link::CallBlocking(std::span<const Command> commands, SteadyTime deadline) {
  const auto self = shared_from_this();
  // Also when an idle one is there: whether the server is the right one, and there, is known by the first connection.
  auto connected = co_await WaitForConnection(deadline);
  if (!connected) co_return std::unexpected(std::move(connected.error()));
  std::erase_if(idle_, [](const ConnectionPtr& connection) { return !connection->is_open(); });
  ConnectionPtr connection;
  if (!idle_.empty()) {
    connection = std::move(idle_.back());
    idle_.pop_back();
  } else {
    std::erase_if(blocking_, [](const auto& weak) {
      const auto one = weak.lock();
      return one == nullptr || !one->is_open();
    });
    if (blocking_.size() + opening_ >= options_.max_blocking) {
      co_return Fail(Errc::kOverloaded, fmt::format("{} blocking commands wait for Redis already", blocking_.size()));
    }
    ++opening_;
    const struct Opening {
      std::size_t& count;
      ~Opening() { --count; }
    } opening{opening_};
    auto opened = co_await connector_.Open(
        *endpoint_, options_.login, std::min(deadline, std::chrono::steady_clock::now() + options_.connect_timeout));
    if (!opened) co_return Fail(Errc::kUnavailable, std::move(opened.error().what));
    connection = *std::move(opened);
    blocking_.push_back(connection);
  }
  Blocking held(std::move(connection));
  if (retired_) co_return std::unexpected(kRetired);
  auto replies = co_await held->CallAll(commands, deadline);
  if (replies && !retired_) idle_.push_back(held.Release());
  co_return replies;
}

void Link::Drop(std::string why, bool pause) {
  if (!is_up()) return;
  pause_after_drop_ = pause;
  const Error error{Errc::kDisconnected, std::move(why)};
  for (const auto& weak : std::exchange(blocking_, {})) {
    if (const auto one = weak.lock()) one->Close(error);
  }
  idle_.clear();
  connection_->Close(error);
}

void Link::Retire(Ending ending) {
  if (std::exchange(retired_, true)) return;
  on_lost_ = nullptr;
  pause_.cancel();
  down_ = kRetired;
  attempt_->Set(std::unexpected(kRetired));
  for (const auto& weak : std::exchange(blocking_, {})) {
    if (const auto one = weak.lock()) one->Close(kRetired);
  }
  idle_.clear();
  // Not reset: the task waits for its end.
  if (!connection_) return;
  if (ending == Ending::kNow) return connection_->Close(kRetired);
  connection_->Drain(kRetired);
}

}  // namespace lazaret::redis
