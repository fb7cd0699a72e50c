#include "fleet/overrides.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "fleet/embedded_lua.h"
#include "fleet/redis_failure.h"

namespace lazaret::fleet {
namespace {

constexpr std::string_view kEntries = "lz:{overrides}:entries";
constexpr std::string_view kVersion = "lz:{overrides}:version";
constexpr std::string_view kEnds = "lz:{overrides}:ends";

std::vector<std::string> AllKeys() { return {std::string(kEntries), std::string(kVersion), std::string(kEnds)}; }

}  // namespace

RedisOverrides::RedisOverrides(redis::Client& client, OverrideBoard& board, Settings settings, const Clock& clock,
                               Log& log)
    : client_(client),
      board_(board),
      settings_(std::move(settings)),
      clock_(clock),
      log_(log),
      list_(std::string(EmbeddedLua("override_list.lua"))),
      put_(std::string(EmbeddedLua("override_put.lua"))),
      remove_(std::string(EmbeddedLua("override_remove.lua"))) {}

redis::Client::Options RedisOverrides::Options() const {
  return {.deadline = clock_.SteadyNow() + settings_.timeout, .repeat = redis::Repeat::kAllowed};
}

std::string RedisOverrides::NextMark() {
  std::lock_guard lock(mutex_);
  return fmt::format("{}.{}", settings_.node, ++marks_);
}

aio::Task<Result<void>> RedisOverrides::Put(Override entry) {
  std::vector<std::string> arguments = {
      entry.id.Hex(), EncodeOverride(entry),
      entry.until ? std::to_string(entry.until->time_since_epoch().count()) : std::string(),
      std::to_string(settings_.max_entries), NextMark()};
  auto reply = co_await client_.Eval(put_, AllKeys(), std::move(arguments), Options());
  if (!reply) co_return std::unexpected(Explain(std::move(reply.error())));
  if (reply->integer() != 1) {
    co_return Fail(Errc::kTooLarge,
                   fmt::format("there are {} overrides already (override.max_entries)", settings_.max_entries));
  }
  co_return co_await Refresh();
}

aio::Task<Result<void>> RedisOverrides::Remove(Digest id) {
  std::vector<std::string> arguments = {id.Hex(), NextMark()};
  // Not repeated: the second time there would be nothing to remove.
  auto reply = co_await client_.Eval(remove_, AllKeys(), std::move(arguments),
                                     {.deadline = clock_.SteadyNow() + settings_.timeout});
  if (!reply) co_return std::unexpected(Explain(std::move(reply.error())));
  auto heard = co_await Refresh();
  if (reply->integer() != 1) co_return Fail(Errc::kNotFound, "there is no override of this content");
  co_return heard;
}

aio::Task<Result<void>> RedisOverrides::Refresh() {
  std::vector<std::string> arguments(1);
  {
    std::lock_guard lock(mutex_);
    arguments.front() = version_;
  }
  std::vector<std::string> keys = {std::string(kEntries), std::string(kVersion)};
  auto reply = co_await client_.Eval(list_, std::move(keys), std::move(arguments), Options());
  if (!reply) co_return std::unexpected(Explain(std::move(reply.error())));
  co_return Hear(*std::move(reply), clock_.SteadyNow());
}

Result<void> RedisOverrides::Hear(redis::Reply reply, SteadyTime at) {
  auto fields = std::move(reply).ToArray("the list of overrides");
  if (!fields) return std::unexpected(fields.error());
  const auto corrupt = [] {
    return Fail(Errc::kCorrupt, "Redis does not know the overrides in the form that we wrote");
  };
  if (fields->size() != 3) return corrupt();
  std::int64_t now = 0;
  const std::string& text = (*fields)[0].text();
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), now);
  if (failed != std::errc() || end != text.data() + text.size()) return corrupt();

  std::lock_guard lock(mutex_);
  const WallTime said_at{milliseconds(now)};
  board_.FollowClock(said_at, at);
  // Two may be asked for at once, and the answers come in any order. A clock that was set back by more than a moment
  // is a Redis that was replaced.
  const bool is_overtaken = said_at < heard_at_ && heard_at_ - said_at < settings_.timeout;
  if (!(*fields)[2].IsArray() || is_overtaken) return {};
  std::vector<Override> all;
  for (const redis::Reply& one : (*fields)[2].elements()) {
    auto entry = DecodeOverride(AsBytes(one.text()));
    if (entry) {
      all.push_back(*std::move(entry));
    } else {
      // Perhaps of a newer Lazaret: an override that cannot be read overrides nothing.
      log_.Error("override cannot be read", {{"error", entry.error().what}});
    }
  }
  board_.Replace(std::move(all));
  version_ = (*fields)[1].text();
  heard_at_ = said_at;
  return {};
}

}  // namespace lazaret::fleet
