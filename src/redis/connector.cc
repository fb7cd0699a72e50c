#include "redis/connector.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "aio/deadline.h"
#include "redis/error_reply.h"

namespace lazaret::redis {
namespace {

Command Hello(const LoginOptions& options) {
  std::vector<std::string_view> arguments = {"HELLO", "2"};
  if (!options.credentials.empty()) {
    const std::string_view user = options.credentials.user;
    arguments.insert(arguments.end(), {"AUTH", user.empty() ? "default" : user, options.credentials.password});
  }
  if (!options.client_name.empty()) arguments.insert(arguments.end(), {"SETNAME", options.client_name});
  return Command(arguments);
}

// What a server is greeted with that does not know HELLO (before Redis 6, or renamed).
std::vector<Command> Greeting(const LoginOptions& options) {
  std::vector<Command> commands;
  const Credentials& who = options.credentials;
  if (!who.empty()) {
    commands.push_back(who.user.empty() ? Command{"AUTH", who.password} : Command{"AUTH", who.user, who.password});
  }
  if (!options.client_name.empty()) commands.push_back({"CLIENT", "SETNAME", options.client_name});
  return commands;
}

Result<void> CheckAll(const std::vector<Reply>& replies) {
  for (const Reply& reply : replies) {
    if (!reply.IsError()) continue;
    const std::string_view word = ErrorWord(reply);
    if (word == "NOAUTH") return Fail(Errc::kUnavailable, "it demands a password, and the URL has none (NOAUTH)");
    if (word == "WRONGPASS") return Fail(Errc::kUnavailable, "the user or the password is wrong (WRONGPASS)");
    return Fail(Errc::kUnavailable, ErrorOf(reply).what);
  }
  return {};
}

Result<void> CheckRole(const Reply& reply) {
  if (reply.elements().empty()) return Fail(Errc::kUnavailable, "it does not tell its role");
  const std::string& role = reply.elements().front().text();
  if (role == "master") return {};
  return Fail(Errc::kUnavailable, fmt::format("it is no master but a {}", role));
}

}  // namespace

aio::Task<Result<void>> Connector::LogIn(Connection& connection, const LoginOptions& options, SteadyTime deadline) {
  const Command hello = Hello(options);
  auto replies = co_await connection.CallAll({&hello, 1}, deadline);
  if (!replies) co_return std::unexpected(std::move(replies.error()));
  if (ErrorWord(replies->front()) == "ERR" && replies->front().text().starts_with("ERR unknown command")) {
    if (const auto greeting = Greeting(options); !greeting.empty()) {
      replies = co_await connection.CallAll(greeting, deadline);
      if (!replies) co_return std::unexpected(std::move(replies.error()));
    } else {
      replies->clear();
    }
  }
  if (auto checked = CheckAll(*replies); !checked) co_return checked;

  std::vector<Command> next;
  if (options.database != 0) next.push_back(Command::Of("SELECT", options.database));
  if (options.must_be_master) next.push_back({"ROLE"});
  if (next.empty()) co_return Result<void>{};
  replies = co_await connection.CallAll(next, deadline);
  if (!replies) co_return std::unexpected(std::move(replies.error()));
  if (auto checked = CheckAll(*replies); !checked) co_return checked;
  if (!options.must_be_master) co_return Result<void>{};
  co_return CheckRole(replies->back());
}

aio::Task<Result<std::shared_ptr<Connection>>> Connector::Establish(const Endpoint& endpoint,
                                                                    const LoginOptions& options, SteadyTime deadline) {
  auto stream = co_await ConnectStream(endpoint, tls_, server_name_, resolver_, deadline);
  if (!stream) co_return std::unexpected(std::move(stream.error()));
  // Until the caller has the connection, whatever ends this closes it.
  struct CloseUnlessReady {
    std::shared_ptr<Connection> connection;
    ~CloseUnlessReady() {
      if (connection) connection->Close({Errc::kUnavailable, "the connection to Redis was not completed"});
    }
  } guard{Connection::Start(*std::move(stream), tasks_, limits_, counters_)};
  auto ready = co_await LogIn(*guard.connection, options, deadline);
  if (!ready) {
    co_return Fail(ready.error().code == Errc::kTimeout ? Errc::kTimeout : Errc::kUnavailable,
                   fmt::format("cannot use Redis at {}: {}", endpoint.Text(), ready.error().what));
  }
  co_return std::exchange(guard.connection, nullptr);
}

aio::Task<Result<std::shared_ptr<Connection>>> Connector::Open(Endpoint endpoint, LoginOptions options,
                                                               SteadyTime deadline) {
  auto connection = co_await aio::WithDeadline(Establish(endpoint, options, deadline), deadline,
                                               fmt::format("connecting to Redis at {} took too long", endpoint.Text()));
  ++(connection ? counters_.connects : counters_.connect_failures);
  co_return connection;
}

}  // namespace lazaret::redis
