#include "fleet/redis_outbox.h"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "core/verdict_encoding.h"
#include "fleet/call_text.h"
#include "fleet/job_errors.h"

namespace lazaret::fleet {
namespace {

Outlook MailAhead(const ShardBoard::View& view) {
  Outlook outlook{.heads = {}, .due = std::nullopt, .seq = view.figures.seq};
  if (view.figures.next_message) outlook.due = view.at + std::min(*view.figures.next_message, kLongest / 10);
  return outlook;
}

}  // namespace

RedisOutbox::RedisOutbox(ShardCalls& calls, aio::TaskGroup& tasks, aio::TaskGroup& endings, const Clock& clock,
                         Log& log)
    : calls_(calls),
      endings_(endings),
      clock_(clock),
      log_(log),
      watch_(WatchParts(tasks)),
      taker_(tasks, watch_, clock, [this](std::uint32_t shard, milliseconds lease) { return TryTake(shard, lease); }) {}

ShardWatch::Parts RedisOutbox::WatchParts(aio::TaskGroup& tasks) {
  return {.client = calls_.client(),
          .tasks = tasks,
          .clock = clock_,
          .settings = calls_.settings(),
          .outlook = [this](std::uint32_t shard) { return calls_.board().Of(shard).transform(MailAhead); },
          .streams = [this](std::uint32_t shard) { return Texts(1, calls_.keys(shard).mail()); },
          .lanes_of = [](std::uint32_t, const StreamEntry&) { return kFirstLane; }};
}

aio::Task<Result<void>> RedisOutbox::Add(Digest id, VerdictPtr verdict, Callback callback) {
  if (verdict == nullptr) throw std::logic_error("a message without a verdict");
  const RedisQueueSettings& settings = calls_.settings();
  const std::uint64_t most = settings.max_messages / settings.shards + (settings.max_messages % settings.shards != 0);
  Texts arguments = {id.Hex(), PackCallback(callback), EncodeVerdict(id, *verdict), NewCall() + NewCall(),
                     std::to_string(most)};
  auto answer = co_await calls_.RunDurably(calls_.ShardOf(id), calls_.scripts().mail_add, std::move(arguments));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (answer->status == 1) co_return Result<void>();
  co_return Fail(Errc::kOverloaded, fmt::format("too many callbacks wait: {}", settings.max_messages));
}

aio::Task<Result<std::optional<RedisOutbox::Held>>> RedisOutbox::TryTake(std::uint32_t shard, milliseconds lease) {
  // A message whose answer is lost is due again when its lease ends.
  Texts arguments(1, MillisecondsText(lease));
  auto answer = co_await calls_.RunOnce(shard, calls_.scripts().mail_take, std::move(arguments));
  if (!answer) co_return std::unexpected(JobErrorOf(std::move(answer.error())));
  if (answer->status == 0) co_return std::nullopt;
  const std::string number = answer->more.empty() ? std::string() : answer->more.front().text();
  auto delivery = ParseDelivery(std::move(answer->more));
  if (!delivery) {
    // It would come back for ever.
    log_.Error("damaged message in Redis: given up", {{"number", number}, {"error", delivery.error().what}});
    Texts close = {number, NewCall(), "close", "0"};
    (void)co_await calls_.Run(shard, calls_.scripts().mail_end, std::move(close));
    co_return std::nullopt;
  }
  delivery->number = delivery->number * calls_.settings().shards + shard;
  co_return Held(*std::move(delivery), [this](const Delivery& given) {
    boost::asio::post(endings_.executor(), [this, number = given.number] { endings_.Spawn(ReturnLater(number)); });
  });
}

aio::Task<> RedisOutbox::ReturnLater(std::uint64_t number) { (void)co_await Return(number, milliseconds(0)); }

aio::Task<Result<std::optional<Delivery>>> RedisOutbox::TakeDue(milliseconds lease, SteadyTime until) {
  auto held = co_await taker_.Take(kFirstLane, lease, until);
  if (!held) co_return std::unexpected(std::move(held.error()));
  if (!*held) co_return std::nullopt;
  // Nobody would hear of it.
  const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
  if (cancellation.cancelled() != boost::asio::cancellation_type::none) {
    co_return Fail(Errc::kCancelled, "cancelled while a message was being taken");
  }
  (*held)->Keep();
  co_return std::move(***held);
}

aio::Task<Result<void>> RedisOutbox::End(std::uint64_t number, std::string what, milliseconds pause) {
  const std::uint32_t shards = calls_.settings().shards;
  Texts arguments = {std::to_string(number / shards), NewCall(), std::move(what), MillisecondsText(pause)};
  auto answer =
      co_await calls_.Run(static_cast<std::uint32_t>(number % shards), calls_.scripts().mail_end, std::move(arguments));
  if (!answer) co_return std::unexpected(std::move(answer.error()));
  if (answer->status == 1) co_return Result<void>();
  co_return Fail(Errc::kNotFound, fmt::format("there is no message {}", number));
}

aio::Task<Result<void>> RedisOutbox::Close(std::uint64_t number) { return End(number, "close", milliseconds(0)); }

aio::Task<Result<void>> RedisOutbox::Postpone(std::uint64_t number, milliseconds pause) {
  return End(number, "postpone", pause);
}

aio::Task<Result<void>> RedisOutbox::Return(std::uint64_t number, milliseconds pause) {
  return End(number, "return", pause);
}

std::uint64_t RedisOutbox::waiting() const { return calls_.board().messages(); }

}  // namespace lazaret::fleet
