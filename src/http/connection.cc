#include "http/connection.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "http/problem.h"

namespace lazaret::http {
namespace asio = boost::asio;

namespace {

// What may be read and dropped to keep a connection; beyond that a new one is cheaper.
constexpr std::uint64_t kMostSkipped = 256 * 1024;
// What is taken in at once before the head has been looked at: a body that comes with it may have to wait for the disk.
constexpr std::size_t kHeadPiece = 4 * 1024;
constexpr std::string_view kClosing = "close";
constexpr milliseconds kLinger{2'000};
constexpr std::uint64_t kMostLingered = 4 * 1024 * 1024;

}  // namespace

Connection::Connection(net::Socket socket, net::IoThread& thread, DateField& date, Handler& handler,
                       const ConnectionSettings& settings, const std::atomic<bool>& draining)
    : socket_(std::move(socket), thread.poller()),
      thread_(thread),
      date_(date),
      handler_(handler),
      settings_(settings),
      draining_(draining),
      deadline_(socket_),
      watch_(thread, deadline_),
      input_(socket_, thread.buffers(), deadline_) {}

aio::Task<> Connection::Run() {
  for (;;) {
    // Waits here and not in a coroutine of its own: this is what a connection does between two requests.
    std::optional<Result<std::size_t>> head_size;
    while (!(head_size = HeadNow())) {
      if (!input_.HasArrived()) {
        input_.Park();
        const bool waited = co_await socket_.Event();
        if (auto may_go_on = input_.AfterWait(waited); !may_go_on) {
          head_size = std::unexpected(std::move(may_go_on).error());
          break;
        }
      }
      if (auto more = input_.MoreNow(kHeadPiece); more && !*more) {
        head_size = std::unexpected(std::move(*more).error());
        break;
      }
    }
    if (!*head_size) {
      // Nobody waits for an answer on a connection that was idle or is lost.
      Error error = std::move(*head_size).error();
      const bool idle = input_.buffered().empty();
      if (error.code == Errc::kDisconnected || (error.code == Errc::kTimeout && idle)) co_return;
      if (error.code == Errc::kTimeout) error.what = "the request head is too slow";
      if (co_await Write(handler_.OnBadHead(error), kClosing)) co_await CloseGently();
      co_return;
    }
    const Next next = co_await Serve(**head_size);
    if (next == Next::kDrop) co_return;
    if (next == Next::kClose) break;
    // The other connections first: one whose client sends requests without waiting for answers keeps nobody waiting.
    if (!input_.buffered().empty()) co_await asio::post(asio::use_awaitable);
  }
  co_await CloseGently();
}

// The size of the next head; empty when it is not all here.
std::optional<Result<std::size_t>> Connection::HeadNow() {
  const std::string_view buffered = input_.buffered();
  if (buffered.empty()) {
    if (draining_) return Fail(Errc::kDisconnected, "the server is ending");
    deadline_.SetIdle(std::chrono::steady_clock::now() + (is_new_ ? settings_.head_timeout : settings_.idle_timeout));
    return std::nullopt;
  }
  const auto end = wire::FindHeadEnd(buffered, searched_);
  if (!end) return std::unexpected(end.error());
  if (*end && **end <= settings_.max_head) {
    deadline_.Clear();
    is_new_ = false;
    searched_ = 0;
    return **end;
  }
  if (*end || buffered.size() >= settings_.max_head) {
    return Fail(Errc::kTooLarge, "the request head is larger than http.max_head_size");
  }
  if (searched_ == 0) deadline_.Set(std::chrono::steady_clock::now() + settings_.head_timeout);
  searched_ = buffered.size();
  return std::nullopt;
}

aio::Task<Connection::Next> Connection::Serve(std::size_t head_size) {
  // The head leaves the read buffer, so that the body can use it.
  const std::string text(input_.buffered().substr(0, head_size));
  input_.Consume(head_size);
  auto head = wire::ParseRequestHead(text);
  if (!head) {
    Response response = handler_.OnBadHead(head.error());
    co_return co_await Write(response, kClosing) ? Next::kClose : Next::kDrop;
  }
  Body body(*head, socket_, input_, deadline_, settings_.body);
  Exchange exchange{*head, body, input_, thread_.tasks()};
  std::optional<Response> at_once = handler_.HandleNow(exchange);
  const Response response = at_once ? *std::move(at_once) : co_await handler_.Handle(exchange);
  if (exchange.client_gone) co_return Next::kDrop;

  // A refusal is sent before the body has come; only then is the body read past, when that is cheap.
  const bool keep = head->keep_alive && !response.close && !draining_ && body.CanSkip(kMostSkipped);
  // A client of HTTP/1.0 takes the connection to end unless it is told otherwise (RFC 9112 C.2.2).
  const std::string_view connection = !keep ? kClosing : head->minor_version == 0 ? "keep-alive" : "";
  std::string bytes = Serialize(response, date_.Now(), connection, head->method == "HEAD");
  const std::size_t sent = socket_.SendNow(bytes);
  if (sent < bytes.size() && !co_await Send(std::move(bytes), sent)) co_return Next::kDrop;
  if (!keep) co_return Next::kClose;
  if (body.SkipNow()) co_return Next::kKeep;
  co_return co_await body.Skip(kMostSkipped) ? Next::kKeep : Next::kClose;
}

aio::Task<bool> Connection::Write(const Response& response, std::string_view connection) {
  std::string bytes = Serialize(response, date_.Now(), connection, false);
  const std::size_t sent = socket_.SendNow(bytes);
  co_return sent == bytes.size() || co_await Send(std::move(bytes), sent);
}

aio::Task<bool> Connection::Send(std::string bytes, std::size_t sent) {
  deadline_.Set(std::chrono::steady_clock::now() + settings_.body.stall);
  const bool all_sent = co_await socket_.Send(std::string_view(bytes).substr(sent));
  deadline_.Clear();
  co_return all_sent;
}

// Closing a socket with unread bytes resets the connection, and the reset may overtake the answer: say that we are
// done, then read on for a while (RFC 9112 9.6).
aio::Task<> Connection::CloseGently() {
  socket_.EndSending();
  deadline_.Set(std::chrono::steady_clock::now() + kLinger);
  for (std::uint64_t dropped = 0; dropped < kMostLingered;) {
    dropped += input_.buffered().size();
    input_.Consume(input_.buffered().size());
    if (const auto more = co_await input_.More(); !more) co_return;
  }
}

}  // namespace lazaret::http
