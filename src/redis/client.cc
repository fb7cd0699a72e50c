#include "redis/client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <random>
#include <utility>

#include "aio/run_in.h"
#include "base/exception.h"
#include "redis/error_reply.h"
#include "redis/slot.h"

namespace lazaret::redis {
namespace asio = boost::asio;

namespace {

constexpr std::size_t kMaxLookups = 16;

LinkOptions LinkOptionsOf(const Url& url, const ClientSettings& settings) {
  return {.login = {.credentials = url.credentials, .database = url.database, .client_name = url.client_name},
          .connect_timeout = url.connect_timeout,
          .first_pause = settings.first_pause,
          .longest_pause = settings.longest_pause,
          .max_blocking = settings.max_blocking};
}

Result<Reply> Checked(Reply reply) {
  if (reply.IsError()) return std::unexpected(ErrorOf(reply));
  return reply;
}

}  // namespace

// A call on this executor, which Stop waits for.
class Client::Using {
 public:
  explicit Using(Client& client) : client_(client) { ++client_.calls_; }
  ~Using() {
    if (--client_.calls_ == 0) client_.no_calls_.cancel();
  }
  Using(const Using&) = delete;
  Using& operator=(const Using&) = delete;

 private:
  Client& client_;
};

Client::Client(aio::Executor executor, const Url& url, ClientSettings settings, TlsContext tls, Log& log)
    : log_(log),
      tasks_(executor,
             [this](const std::exception_ptr& e) { log_.Error("redis client failed", {{"why", WhatOf(e)}}); }),
      resolver_(aio::LookUp, kMaxLookups),
      connector_(tasks_, resolver_, tls, url.tls_options.server_name, settings.connection, counters_),
      sentinel_connector_(tasks_, resolver_, tls, url.tls_options.server_name, settings.connection, sentinel_counters_),
      no_calls_(executor, SteadyTime::max()) {
  const LinkOptions link = LinkOptionsOf(url, settings);
  if (url.mode == Mode::kCluster) {
    router_ = std::make_unique<ClusterRouter>(connector_, url.endpoints,
                                              ClusterRouter::Options{.link = link,
                                                                     .refresh = settings.refresh_topology,
                                                                     .refresh_soon = settings.refresh_soon,
                                                                     .max_redirections = settings.max_redirections},
                                              log_);
    return;
  }
  const SingleRouter::Options options{.link = link, .check_master = settings.check_master};
  if (url.mode == Mode::kStandalone) {
    router_ = std::make_unique<SingleRouter>(connector_, url.endpoints.front(), options, log_);
    return;
  }
  LoginOptions login{.credentials = url.sentinel_credentials, .client_name = url.client_name};
  auto sentinels = std::make_unique<Sentinels>(sentinel_connector_, std::move(login), url.endpoints, url.master);
  router_ = std::make_unique<SingleRouter>(connector_, std::move(sentinels), options, log_);
}

Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Make(aio::Executor executor, const Url& url, ClientSettings settings,
                                             Log& log) {
  TlsContext tls;
  if (url.tls) {
    auto made = MakeTlsContext(url.tls_options);
    if (!made) return std::unexpected(std::move(made.error()));
    tls = *std::move(made);
  }
  return std::unique_ptr<Client>(new Client(std::move(executor), url, settings, std::move(tls), log));
}

aio::Task<Result<std::vector<Reply>>> Client::RouteHere(std::uint16_t slot, std::vector<Command> commands,
                                                        Router::Options options) {
  const Using call(*this);
  if (stopping_) co_return Fail(Errc::kUnavailable, "the Redis client is being stopped");
  co_return co_await router_->Route(slot, std::move(commands), options);
}

aio::Task<Result<std::vector<Reply>>> Client::Route(std::string_view key, std::vector<Command> commands,
                                                    Router::Options options) {
  static thread_local std::minstd_rand random{std::random_device()()};
  const auto slot = key.empty() ? static_cast<std::uint16_t>(random() % kSlots) : SlotOf(key);
  return aio::RunIn(tasks_, RouteHere(slot, std::move(commands), options));
}

aio::Task<Result<Reply>> Client::Call(std::string key, Command command, Options options) {
  std::vector<Command> commands(1, std::move(command));
  auto replies = co_await Route(key, std::move(commands), {.deadline = options.deadline, .repeat = options.repeat});
  if (!replies) co_return std::unexpected(std::move(replies.error()));
  co_return Checked(std::move(replies->front()));
}

aio::Task<std::vector<Result<Reply>>> Client::RouteAll(std::string key, std::vector<Command> commands,
                                                       Router::Options options) {
  const std::size_t count = commands.size();
  std::vector<Result<Reply>> results;
  if (count == 0) co_return results;
  auto replies = co_await Route(key, std::move(commands), options);
  results.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (replies) {
      results.push_back(Checked(std::move((*replies)[i])));
    } else {
      results.emplace_back(std::unexpected(replies.error()));
    }
  }
  co_return results;
}

aio::Task<std::vector<Result<Reply>>> Client::CallAll(std::string key, std::vector<Command> commands, Options options) {
  return RouteAll(std::move(key), std::move(commands), {.deadline = options.deadline, .repeat = options.repeat});
}

aio::Task<std::vector<Result<Reply>>> Client::CallAllBlocking(std::string key, std::vector<Command> commands,
                                                              SteadyTime deadline) {
  return RouteAll(std::move(key), std::move(commands), {.deadline = deadline, .blocking = true});
}

aio::Task<Result<Reply>> Client::CallBlocking(std::string key, Command command, SteadyTime deadline) {
  std::vector<Command> commands(1, std::move(command));
  auto replies = co_await Route(key, std::move(commands), {.deadline = deadline, .blocking = true});
  if (!replies) co_return std::unexpected(std::move(replies.error()));
  co_return Checked(std::move(replies->front()));
}

aio::Task<Result<Reply>> Client::Eval(const Script& script, std::vector<std::string> keys,
                                      std::vector<std::string> arguments, Options options) {
  const std::string key = keys.empty() ? std::string() : keys.front();
  auto reply = co_await Call(key, script.ByName(keys, arguments), options);
  if (reply || !HasErrorWord(reply.error(), "NOSCRIPT")) co_return reply;
  ++counters_.retries;
  co_return co_await Call(key, script.Whole(keys, arguments), options);
}

aio::Task<> Client::Stop() {
  stopping_ = true;
  router_->Stop();
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
  while (calls_ > 0) co_await no_calls_.async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace lazaret::redis
