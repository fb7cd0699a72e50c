#include "http/body.h"

#include <algorithm>
#include <utility>

namespace lazaret::http {
namespace {

// What the end of the input means to a body that is not complete.
Error Ended(Error error) {
  if (error.code == Errc::kDisconnected) error.what = "the body ended before it was complete";
  if (error.code == Errc::kTimeout) {
    error.what = "the body arrived too slowly (http.body_timeout, http.min_body_rate)";
  }
  return error;
}

}  // namespace

Body::Body(const wire::RequestHead& head, net::PolledSocket& socket, Input& input, Deadline& deadline,
           const BodyTimes& times)
    : framing_(head.body),
      expects_continue_(head.expectation == wire::Expectation::kContinue),
      socket_(socket),
      input_(input),
      deadline_(deadline),
      times_(times),
      length_(head.body == wire::BodyFraming::kLength ? head.content_length : 0),
      left_(length_),
      complete_(head.body != wire::BodyFraming::kChunked && length_ == 0) {}

std::optional<std::uint64_t> Body::length() const {
  if (framing_ == wire::BodyFraming::kChunked) return std::nullopt;
  return length_;
}

std::optional<Bytes> Body::Arrived() const {
  if (started_ || framing_ != wire::BodyFraming::kLength) return std::nullopt;
  const Bytes arrived = AsBytes(input_.buffered());
  if (arrived.size() < left_) return std::nullopt;
  return arrived.first(left_);
}

void Body::TakeInNow(std::uint64_t most) {
  if (framing_ != wire::BodyFraming::kLength || length_ > most || started_ || is_withheld()) return;
  const std::size_t arrived = input_.buffered().size();
  // What went wrong shows again when the body is read.
  if (arrived < length_) (void)input_.MoreNow(static_cast<std::size_t>(length_) - arrived);
}

aio::Task<Result<void>> Body::TellToContinue() {
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  deadline_.Set(std::chrono::steady_clock::now() + times_.stall);
  if (!co_await socket_.Send(kContinue)) co_return Fail(Errc::kDisconnected, "the client closed the connection");
  co_return Result<void>();
}

SteadyTime Body::SlowestTime() {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (!start_) start_ = now;
  const SteadyTime by_stall = now + times_.stall;
  if (times_.bytes_per_second == 0) return by_stall;
  const auto by_rate = *start_ + times_.grace + milliseconds(received_ * 1000 / times_.bytes_per_second);
  return std::min<SteadyTime>(by_stall, by_rate);
}

std::optional<Result<Bytes>> Body::ReadNow() {
  input_.Consume(std::exchange(unconsumed_, 0));
  while (!complete_) {
    const Bytes arrived = AsBytes(input_.buffered());
    if (arrived.empty()) return std::nullopt;
    started_ = true;
    Bytes data;
    if (framing_ == wire::BodyFraming::kLength) {
      data = arrived.first(std::min<std::uint64_t>(arrived.size(), left_));
      left_ -= data.size();
      complete_ = left_ == 0;
      unconsumed_ = data.size();
    } else {
      auto step = chunked_.Feed(arrived);
      if (!step) return std::unexpected(step.error());
      data = step->data;
      complete_ = step->done;
      unconsumed_ = step->consumed;
    }
    received_ += unconsumed_;
    if (!data.empty()) return data;
    input_.Consume(std::exchange(unconsumed_, 0));
  }
  started_ = true;
  return Bytes();
}

aio::Task<Result<Bytes>> Body::Read() {
  for (;;) {
    if (auto now = ReadNow()) co_return *std::move(now);
    if (auto arrived = ReadArrived()) co_return *std::move(arrived);
    if (auto waited = co_await Arrival(); !waited) co_return std::unexpected(waited.error());
  }
}

aio::Task<Result<void>> Body::Arrival() {
  if (!std::exchange(started_, true) && expects_continue_) {
    start_ = std::chrono::steady_clock::now();
    if (auto told = co_await TellToContinue(); !told) co_return told;
  }
  deadline_.Set(SlowestTime());
  auto arrived = co_await input_.Arrival();
  if (!arrived) co_return std::unexpected(Ended(std::move(arrived).error()));
  deadline_.Clear();
  co_return arrived;
}

std::optional<Result<Bytes>> Body::ReadArrived() {
  const auto more = input_.MoreNow();
  if (!more) return std::nullopt;
  if (!*more) return std::unexpected(Ended(more->error()));
  return ReadNow();
}

void Body::Release() {
  input_.Consume(std::exchange(unconsumed_, 0));
  input_.Park();
}

bool Body::CanSkip(std::uint64_t most) const {
  if (complete_) return true;
  // Whether a client that was not told to continue sends its body cannot be known (RFC 9110 10.1.1).
  if (is_withheld()) return false;
  return framing_ == wire::BodyFraming::kChunked || left_ <= most;
}

aio::Task<bool> Body::Skip(std::uint64_t most) {
  if (!CanSkip(most)) co_return false;
  std::uint64_t skipped = 0;
  for (;;) {
    const auto data = co_await Read();
    if (!data) co_return false;
    if (data->empty()) co_return true;
    skipped += data->size();
    if (skipped > most) co_return false;
  }
}

bool Body::SkipNow() {
  if (complete_) input_.Consume(std::exchange(unconsumed_, 0));
  return complete_;
}

}  // namespace lazaret::http
