#include "load/client.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "wire/digest_field.h"

namespace lazaret::bench {
namespace {

namespace asio = boost::asio;
using asio::generic::stream_protocol;

constexpr std::size_t kPiece = 256 * 1024;
// Of a slow client: often enough to be even, seldom enough for thousands of them.
constexpr milliseconds kSlowStep(100);

stream_protocol::endpoint EndpointOf(const Target& target) {
  if (!target.socket.empty()) return asio::local::stream_protocol::endpoint(target.socket);
  return asio::ip::tcp::endpoint(asio::ip::make_address(target.host), target.port);
}

Error Lost(const boost::system::error_code& error) { return Error{Errc::kDisconnected, error.message()}; }

// A body of which a part has been sent.
class Upload {
 public:
  explicit Upload(Live& live) : live_(live) {
    const std::uint64_t now = live_.uploading.fetch_add(1, std::memory_order_relaxed) + 1;
    std::uint64_t most = live_.most_uploading.load(std::memory_order_relaxed);
    while (most < now && !live_.most_uploading.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
    }
  }
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;
  ~Upload() { live_.uploading.fetch_sub(1, std::memory_order_relaxed); }

 private:
  Live& live_;
};

std::string SaltOf(std::uint64_t seed, std::uint64_t number) {
  return fmt::format("\n{:07x}{:016x}", seed & 0xfffffff, number);
}

}  // namespace

Client::Client(const Plan& plan, const Phases& phases, Pacer& pacer, Tally& tally, Live& live, aio::Executor executor)
    : plan_(plan), phases_(phases), pacer_(pacer), tally_(tally), live_(live), socket_(std::move(executor)) {}

aio::Task<> Client::Run(SteadyTime begin) {
  if (begin > std::chrono::steady_clock::now()) co_await aio::SleepUntil(begin);
  while (const auto turn = pacer_.Next(std::chrono::steady_clock::now())) {
    if (turn->intended > std::chrono::steady_clock::now()) co_await aio::SleepUntil(turn->intended);
    co_await Serve(*turn);
  }
  Disconnect();
}

void Client::CheckDeadline(SteadyTime now) {
  if (!deadline_ || now < *deadline_) return;
  timed_out_ = true;
  Disconnect();
}

aio::Task<> Client::Serve(const Turn& turn) {
  const Item& item = plan_.items[turn.number % plan_.items.size()];
  const SteadyTime began = std::chrono::steady_clock::now();
  live_.in_flight.fetch_add(1, std::memory_order_relaxed);
  deadline_ = began + plan_.timeout;
  timed_out_ = false;
  const auto answer = co_await Exchange(turn, item);
  deadline_.reset();
  live_.in_flight.fetch_sub(1, std::memory_order_relaxed);
  if (!answer || answer->closes || !plan_.keep_alive) Disconnect();
  Judge(turn, began, item, answer);
}

aio::Task<Result<Response>> Client::Exchange(const Turn& turn, const Item& item) {
  const std::string salt = plan_.salt ? SaltOf(plan_.seed, turn.number) : "";
  const std::string head = MakeHead(item, item.payload->size() + salt.size());
  const bool reused = used_ && socket_.is_open();
  auto answer = co_await ExchangeOnce(head, AsBytes(salt), item);
  if (answer || !reused || timed_out_ || answer.error().code != Errc::kDisconnected || !reader_.is_empty())
    co_return answer;
  // A kept connection that the server ended as we began to use it (RFC 9112 9.3.1).
  ++tally_.retried;
  Disconnect();
  co_return co_await ExchangeOnce(head, AsBytes(salt), item);
}

aio::Task<Result<Response>> Client::ExchangeOnce(const std::string& head, Bytes tail, const Item& item) {
  if (!socket_.is_open()) {
    if (auto connected = co_await Connect(); !connected) co_return std::unexpected(connected.error());
  }
  sent_bytes_ = 0;
  auto sent = co_await SendHead(head, tail, item);
  if (plan_.mode == Mode::kHashFirst && sent) {
    auto answer = co_await Receive();
    if (!answer || answer->status != 100) co_return answer;
    sent = co_await SendBody(0, tail, item);
  }
  // A server that refuses a body answers before it has read all of it.
  auto answer = co_await Receive();
  if (!answer && !sent) co_return std::unexpected(sent.error());
  if (!sent) answer->closes = true;
  used_ = true;
  co_return answer;
}

aio::Task<Result<void>> Client::Connect() {
  reader_ = {};
  used_ = false;
  const auto endpoint = EndpointOf(plan_.target);
  const auto [failed] = co_await socket_.async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
  if (failed) {
    boost::system::error_code ignored;
    socket_.close(ignored);
    co_return Fail(Errc::kUnavailable, fmt::format("cannot connect: {}", failed.message()));
  }
  if (plan_.target.socket.empty()) socket_.set_option(asio::ip::tcp::no_delay(true));
  socket_.non_blocking(true);
  live_.connected.fetch_add(1, std::memory_order_relaxed);
  co_return Result<void>();
}

void Client::Disconnect() {
  if (!socket_.is_open()) return;
  boost::system::error_code ignored;
  socket_.close(ignored);
  live_.connected.fetch_sub(1, std::memory_order_relaxed);
}

std::string Client::MakeHead(const Item& item, std::uint64_t body_size) const {
  std::string path = plan_.path;
  if (const auto at = path.find("{id}"); at != path.npos) path.replace(at, 4, item.digest->Hex());
  std::string head =
      fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n", plan_.mode == Mode::kGet ? "GET" : "POST", path);
  if (plan_.mode != Mode::kGet) fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", body_size);
  if (plan_.mode == Mode::kHashFirst) {
    fmt::format_to(std::back_inserter(head), "Repr-Digest: {}\r\nExpect: 100-continue\r\n",
                   wire::FormatReprDigest(*item.digest));
  }
  if (!plan_.keep_alive) head += "Connection: close\r\n";
  return head + "\r\n";
}

// The head, and with it as much of the body as fits into one call: a small request is one segment.
aio::Task<Result<void>> Client::SendHead(const std::string& head, Bytes tail, const Item& item) {
  const bool with_body = plan_.mode == Mode::kPost && plan_.send_rate == 0;
  const Bytes body = with_body ? item.payload->From(0) : Bytes();
  const bool whole = with_body && body.size() == item.payload->size();
  std::array<iovec, 3> parts = {
      iovec{const_cast<char*>(head.data()), head.size()},
      iovec{const_cast<std::byte*>(body.data()), std::min(body.size(), kPiece)},
      iovec{const_cast<std::byte*>(tail.data()), whole && body.size() <= kPiece ? tail.size() : 0}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  const ssize_t count = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN) co_return Fail(Errc::kDisconnected, SystemError("send", errno).what);
  auto done = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  if (done < head.size()) {
    if (auto sent = co_await SendAll(AsBytes(head).subspan(done)); !sent) co_return sent;
    done = head.size();
  }
  if (plan_.mode != Mode::kPost) co_return Result<void>();
  co_return co_await SendBody(done - head.size(), tail, item);
}

// What is left of the body and the tail when `sent` bytes of the two have gone.
aio::Task<Result<void>> Client::SendBody(std::uint64_t sent, Bytes tail, const Item& item) {
  const std::uint64_t size = item.payload->size();
  const std::uint64_t step =
      plan_.send_rate == 0 ? kPiece : std::max<std::uint64_t>(plan_.send_rate * kSlowStep.count() / 1000, 1);
  SteadyTime next = std::chrono::steady_clock::now();
  sent_bytes_ = sent;
  std::optional<Upload> upload;
  while (sent_bytes_ < size + tail.size()) {
    if (sent_bytes_ > 0 && !upload) upload.emplace(live_);
    const Bytes rest = sent_bytes_ < size ? item.payload->From(sent_bytes_) : tail.subspan(sent_bytes_ - size);
    const Bytes piece = rest.first(std::min<std::uint64_t>(rest.size(), step));
    if (auto done = co_await SendAll(piece); !done) co_return done;
    sent_bytes_ += piece.size();
    if (plan_.send_rate != 0) co_await aio::SleepUntil(next += kSlowStep);
  }
  co_return Result<void>();
}

aio::Task<Result<void>> Client::SendAll(Bytes bytes) {
  while (!bytes.empty()) {
    if (!socket_.is_open()) co_return Fail(Errc::kTimeout, "timed out");
    const ssize_t count = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      continue;
    }
    if (errno != EAGAIN) co_return Fail(Errc::kDisconnected, SystemError("send", errno).what);
    const auto [failed] =
        co_await socket_.async_wait(stream_protocol::socket::wait_write, asio::as_tuple(asio::use_awaitable));
    if (failed) co_return std::unexpected(Lost(failed));
  }
  co_return Result<void>();
}

aio::Task<Result<Response>> Client::Receive() {
  for (;;) {
    if (auto response = reader_.Take()) co_return *std::move(response);
    std::array<char, 4096> bytes;
    const auto [failed, count] =
        co_await socket_.async_read_some(asio::buffer(bytes), asio::as_tuple(asio::use_awaitable));
    if (failed) co_return std::unexpected(Lost(failed));
    if (!reader_.Feed({bytes.data(), count})) co_return Fail(Errc::kMalformed, "malformed answer");
  }
}

void Client::Judge(const Turn& turn, SteadyTime began, const Item& item, const Result<Response>& answer) {
  const SteadyTime now = std::chrono::steady_clock::now();
  live_.finished.fetch_add(1, std::memory_order_relaxed);
  Expectation expected = plan_.expected;
  if (item.word) expected.word = item.word;
  const bool allowed =
      answer && std::ranges::find(plan_.allowed_statuses, answer->status) != plan_.allowed_statuses.end();
  const std::string defect = answer       ? (allowed ? "" : Defect(*answer, expected))
                             : timed_out_ ? "timed out"
                                          : answer.error().what;
  if (!defect.empty()) live_.failed.fetch_add(1, std::memory_order_relaxed);
  // A wrong answer is one at any time; only what is measured has to be in the measured part.
  if (!defect.empty()) ++tally_.defects[defect];
  if (turn.intended < phases_.measured) return;
  if (allowed) {
    ++tally_.allowed_statuses[answer->status];
    tally_.allowed.Record(now - turn.intended);
  }
  if (!defect.empty() || allowed) return;
  tally_.latency.Record(now - turn.intended);
  tally_.service.Record(now - began);
  tally_.sent_bytes += sent_bytes_;
  if (plan_.answers.empty()) return;
  if (auto verdict = ReadVerdict(answer->body)) tally_.answers[item.name] = *std::move(verdict);
}

}  // namespace lazaret::bench
