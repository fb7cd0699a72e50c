#include "redis/connection.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "aio/deadline.h"

namespace lazaret::redis {
namespace asio = boost::asio;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReadBuffer = 64 * 1024;

// A task that ends, however it does, leaves no connection behind that nobody reads, writes or watches.
struct CloseAtEnd {
  std::shared_ptr<Connection> connection;
  ~CloseAtEnd() { connection->Close({Errc::kDisconnected, "the connection to Redis is being closed"}); }
};

}  // namespace

Connection::Connection(std::unique_ptr<ByteStream> stream, const aio::Executor& executor, ConnectionLimits limits,
                       Counters& counters)
    : stream_(std::move(stream)),
      limits_(limits),
      counters_(counters),
      pipeline_(limits.pipeline, counters),
      output_(executor, SteadyTime::max()),
      watch_(executor) {}

std::shared_ptr<Connection> Connection::Start(std::unique_ptr<ByteStream> stream, aio::TaskGroup& tasks,
                                              ConnectionLimits limits, Counters& counters) {
  const std::shared_ptr<Connection> connection(new Connection(std::move(stream), tasks.executor(), limits, counters));
  if (!tasks.Spawn(Read(connection)) || !tasks.Spawn(Write(connection)) || !tasks.Spawn(Watch(connection))) {
    connection->Close({Errc::kUnavailable, "the Redis client is being stopped"});
  }
  return connection;
}

aio::Task<Result<std::vector<Reply>>> Connection::CallAll(std::span<const Command> commands, SteadyTime deadline) {
  const auto self = shared_from_this();
  if (const auto why = closed_.Get()) co_return Fail(Errc::kUnavailable, why->what);
  if (draining_) co_return Fail(Errc::kUnavailable, draining_->what);
  auto pushed = pipeline_.Push(commands, deadline);
  if (!pushed) co_return std::unexpected(std::move(pushed.error()));
  Pipeline::Call& call = **pushed;
  asio::steady_timer waker(co_await asio::this_coro::executor, deadline);
  const struct Waiting {
    Pipeline::Call& call;
    ~Waiting() { call.waker = nullptr; }
  } waiting{call};
  call.waker = &waker;
  if (writer_waits_) output_.cancel();
  const auto [failed] = co_await waker.async_wait(kTuple);
  if (call.failure) co_return std::unexpected(*std::move(call.failure));
  if (call.is_done()) co_return std::move(call.replies);
  if (failed) co_return Fail(Errc::kCancelled, "cancelled while Redis was asked");
  ++counters_.timeouts;
  co_return Fail(Errc::kTimeout, fmt::format("Redis did not answer {} in time", commands.front().name()));
}

aio::Task<Result<Reply>> Connection::Call(Command command, SteadyTime deadline) {
  auto replies = co_await CallAll({&command, 1}, deadline);
  if (!replies) co_return std::unexpected(std::move(replies.error()));
  co_return std::move(replies->front());
}

void Connection::Close(Error why) {
  if (!is_open()) return;
  stream_->Close();
  output_.cancel();
  watch_.cancel();
  pipeline_.Break(why);
  closed_.Set(std::move(why));
}

void Connection::Drain(Error why) {
  draining_ = std::move(why);
  if (pipeline_.commands() == 0) Close(*draining_);
}

aio::Task<> Connection::Read(std::shared_ptr<Connection> self) {
  const CloseAtEnd end{self};
  std::vector<std::byte> buffer(kReadBuffer);
  while (self->is_open()) {
    const auto count = co_await self->stream_->ReadSome(asio::buffer(buffer));
    if (!count) co_return self->Close(count.error());
    auto fed = self->pipeline_.Feed(Bytes(buffer).first(*count));
    if (!fed) co_return self->Close(std::move(fed.error()));
    if (self->draining_ && self->pipeline_.commands() == 0) co_return self->Close(*self->draining_);
  }
}

aio::Task<> Connection::Write(std::shared_ptr<Connection> self) {
  const CloseAtEnd end{self};
  std::vector<asio::const_buffer> buffers;
  while (self->is_open()) {
    if (!self->pipeline_.HasOutput()) {
      self->writer_waits_ = true;
      co_await self->output_.async_wait(kTuple);
      self->writer_waits_ = false;
      continue;
    }
    const std::vector<Pipeline::Chunk> chunks = self->pipeline_.TakeOutput();
    buffers.clear();
    for (const auto& chunk : chunks) buffers.push_back(asio::buffer(Pipeline::BytesOf(chunk)));
    ++self->counters_.writes;
    auto written = co_await self->stream_->Write(buffers);
    if (!written) co_return self->Close(std::move(written.error()));
  }
}

aio::Task<> Connection::Watch(std::shared_ptr<Connection> self) {
  const CloseAtEnd end{self};
  while (self->is_open()) {
    const SteadyTime now = std::chrono::steady_clock::now();
    SteadyTime next = now + self->limits_.overdue;
    // Not by adding to the deadline, which may be SteadyTime::max().
    if (const auto oldest = self->pipeline_.OldestDeadline(); oldest && *oldest < next) {
      if (*oldest <= now - self->limits_.overdue) {
        co_return self->Close({Errc::kDisconnected, "Redis has stopped answering"});
      }
      next = std::max(now, *oldest + self->limits_.overdue);
      next = std::min(next, now + self->limits_.overdue);
    }
    self->watch_.expires_at(next);
    co_await self->watch_.async_wait(kTuple);
  }
}

}  // namespace lazaret::redis
