#include "redis/sentinel.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "redis/error_reply.h"

namespace lazaret::redis {

aio::Task<Result<Endpoint>> Sentinels::FindMaster(SteadyTime deadline) {
  ++connector_.counters().refreshes;
  std::string why;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    const std::size_t index = (first_ + i) % endpoints_.size();
    // A sentinel that swallows packets leaves time for the others and for the master.
    const auto now = std::chrono::steady_clock::now();
    const SteadyTime until = now + (deadline - now) / static_cast<int>(endpoints_.size() - i + 1);
    auto found = co_await Ask(endpoints_[index], until);
    if (found) {
      first_ = index;
      co_return found;
    }
    why += (why.empty() ? "" : "; ") + found.error().what;
  }
  co_return Fail(Errc::kUnavailable, fmt::format("no sentinel tells where the master {} is: {}", master_, why));
}

aio::Task<Result<Endpoint>> Sentinels::Ask(const Endpoint& sentinel, SteadyTime deadline) {
  auto connection = co_await connector_.Open(sentinel, login_, deadline);
  if (!connection) co_return std::unexpected(std::move(connection.error()));
  const struct CloseAtEnd {
    Connection& one;
    ~CloseAtEnd() { one.Close({Errc::kUnavailable, "the sentinel was asked"}); }
  } end{**connection};
  auto reply = co_await (*connection)->Call({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", master_}, deadline);
  if (!reply) co_return std::unexpected(std::move(reply.error()));
  if (reply->IsError()) co_return std::unexpected(ErrorOf(*reply));
  if (reply->IsNil()) {
    co_return Fail(Errc::kUnavailable, fmt::format("{} knows no such master", sentinel.Text()));
  }
  Endpoint found;
  const std::vector<Reply>& parts = reply->elements();
  if (parts.size() == 2) {
    found.host = parts[0].text();
    const std::string& port = parts[1].text();
    std::from_chars(port.data(), port.data() + port.size(), found.port);
  }
  if (found.host.empty() || found.port == 0) {
    co_return Fail(Errc::kUnavailable, fmt::format("{} answers something that is no address", sentinel.Text()));
  }
  co_return found;
}

}  // namespace lazaret::redis
