#include "http/connection.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <optional>
#include <string>
#include <utility>

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
    std::optional<Next> next;
    std::optional<Result<std::string>> head;
    while (!next && !(head = TakeHead())) {
      if (!socket_.has_input()) {
        input_.Park();
        const bool waited = co_await socket_.Event(this);
        if (failure_) std::rethrow_exception(failure_);
        next = std::exchange(answered_, std::nullopt);
        if (!head_.empty()) next = co_await Answer(std::exchange(head_, {}));
        if (auto may_go_on = input_.AfterWait(waited); !next && !may_go_on) {
          head = std::unexpected(std::move(may_go_on).error());
          break;
        }
      } else if (auto more = input_.MoreNow(kHeadPiece); more && !*more) {
        head = std::unexpected(std::move(*more).error());
        break;
      }
    }
    if (!next && !*head) {
      // Nobody waits for an answer on a connection that was idle or is lost.
      Error error = std::move(*head).error();
      const bool idle = input_.buffered().empty();
      if (error.code == Errc::kDisconnected || (error.code == Errc::kTimeout && idle)) co_return;
      if (error.code == Errc::kTimeout) error.what = "the request head is too slow";
      if (co_await Write(handler_.OnBadHead(error), kClosing)) co_await CloseGently();
      co_return;
    }
    if (!next) next = AnswerNow(**head);
    if (!next) next = co_await Answer(**std::move(head));
    if (!unsent_.empty() && !co_await Send(std::exchange(unsent_, {}))) co_return;
    if (*next == Next::kDrop) co_return;
    if (*next == Next::kClose) break;
    // The other connections first: one whose client sends requests without waiting for answers keeps nobody waiting.
    if (!input_.buffered().empty() || socket_.has_input()) co_await asio::post(asio::use_awaitable);
  }
  co_await CloseGently();
}

// Answers the request that has come when that needs no waiting, so that Run goes on waiting for the next one: to wake
// it costs more than to answer from the cache.
bool Connection::OnEvent() {
  try {
    const auto more = input_.MoreNow(kHeadPiece);
    if (!more) return true;
    if (!*more) return false;
    auto head = TakeHead();
    if (!head || !*head) return false;
    answered_ = AnswerNow(**head);
    if (!answered_) {
      head_ = **std::move(head);
      return false;
    }
    if (*answered_ != Next::kKeep || !unsent_.empty() || !input_.buffered().empty()) return false;
    // Of what is here already no event tells again.
    if (socket_.has_input() && input_.MoreNow(kHeadPiece)) return false;
    answered_.reset();
    input_.Park();
    WaitForRequest();
    return true;
  } catch (...) {
    failure_ = std::current_exception();
    return false;
  }
}

void Connection::WaitForRequest() {
  deadline_.SetIdle(CoarseSteadyNow() + (is_new_ ? settings_.head_timeout : settings_.idle_timeout));
}

// The next head leaves the read buffer, so that the body can use it; empty when it is not all here.
std::optional<Result<std::string>> Connection::TakeHead() {
  const std::string_view buffered = input_.buffered();
  if (buffered.empty()) {
    if (draining_) return Fail(Errc::kDisconnected, "the server is ending");
    WaitForRequest();
    return std::nullopt;
  }
  const auto end = wire::FindHeadEnd(buffered, searched_);
  if (!end) return std::unexpected(end.error());
  if (*end && **end <= settings_.max_head) {
    deadline_.Clear();
    is_new_ = false;
    searched_ = 0;
    std::string head(buffered.substr(0, **end));
    input_.Consume(head.size());
    return head;
  }
  if (*end || buffered.size() >= settings_.max_head) {
    return Fail(Errc::kTooLarge, "the request head is larger than http.max_head_size");
  }
  if (searched_ == 0) deadline_.Set(std::chrono::steady_clock::now() + settings_.head_timeout);
  searched_ = buffered.size();
  return std::nullopt;
}

// Empty, with nothing done, when that is for Answer. What the socket did not take of the answer is in unsent_.
std::optional<Connection::Next> Connection::AnswerNow(const std::string& text) {
  const auto head = wire::ParseRequestHead(text);
  if (!head) return std::nullopt;
  Body body(*head, socket_, input_, deadline_, settings_.body);
  Exchange exchange{*head, body, input_, thread_.tasks()};
  const auto response = handler_.HandleNow(exchange);
  if (!response) return std::nullopt;
  const bool keep = body.SkipNow() && MayKeep(*head, *response);
  thread_local std::string bytes;  // keeps its memory
  bytes.clear();
  Serialize(*response, *head, keep, bytes);
  if (const std::size_t sent = socket_.SendNow(bytes); sent < bytes.size()) unsent_ = bytes.substr(sent);
  return keep ? Next::kKeep : Next::kClose;
}

aio::Task<Connection::Next> Connection::Answer(std::string text) {
  auto head = wire::ParseRequestHead(text);
  if (!head) co_return co_await Write(handler_.OnBadHead(head.error()), kClosing) ? Next::kClose : Next::kDrop;
  Body body(*head, socket_, input_, deadline_, settings_.body);
  Exchange exchange{*head, body, input_, thread_.tasks()};
  const Response response = co_await handler_.Handle(exchange);
  if (exchange.client_gone) co_return Next::kDrop;

  // A refusal is sent before the body has come; only then is the body read past, when that is cheap.
  const bool keep = MayKeep(*head, response) && body.CanSkip(kMostSkipped);
  std::string bytes;
  Serialize(response, *head, keep, bytes);
  if (!co_await Send(std::move(bytes))) co_return Next::kDrop;
  if (!keep) co_return Next::kClose;
  co_return co_await body.Skip(kMostSkipped) ? Next::kKeep : Next::kClose;
}

bool Connection::MayKeep(const wire::RequestHead& head, const Response& response) const {
  return head.keep_alive && !response.close && !draining_;
}

void Connection::Serialize(const Response& response, const wire::RequestHead& head, bool keep, std::string& out) {
  // A client of HTTP/1.0 takes the connection to end unless it is told otherwise (RFC 9112 C.2.2).
  const std::string_view connection = !keep ? kClosing : head.minor_version == 0 ? "keep-alive" : "";
  AppendTo(out, response, date_.Now(), connection, head.method == "HEAD");
}

aio::Task<bool> Connection::Write(Response response, std::string_view connection) {
  co_return co_await Send(http::Serialize(response, date_.Now(), connection, false));
}

aio::Task<bool> Connection::Send(std::string bytes) {
  deadline_.Set(std::chrono::steady_clock::now() + settings_.body.stall);
  const bool all_sent = co_await socket_.Send(bytes);
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
