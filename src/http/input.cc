#include "http/input.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace lazaret::http {

void Deadline::Check(SteadyTime now) {
  if (now < at_) return;
  // Again at every look: a task that was just between two waits has missed the first.
  passed_ = true;
  socket_.CancelWait();
}

Input::~Input() { buffers_.Give(std::move(buffer_)); }

std::string_view Input::buffered() const {
  if (buffer_ == nullptr) return std::string_view(parked_).substr(begin_);
  return {buffer_->data() + begin_, end_ - begin_};
}

void Input::Consume(std::size_t bytes) {
  begin_ += bytes;
  if (buffer_ == nullptr && begin_ == parked_.size()) DropParked();
}

void Input::DropParked() {
  std::string().swap(parked_);  // an assignment would keep the memory
  begin_ = 0;
}

std::optional<uid_t> Input::PeerUser() const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!socket_.is_open() || ::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return std::nullopt;
  }
  // What the kernel says of a socket without such a peer.
  return peer.uid == static_cast<uid_t>(-1) ? std::nullopt : std::optional(peer.uid);
}

void Input::Park() {
  if (buffer_ == nullptr) return;
  parked_ = std::string(buffered());
  begin_ = 0;
  buffers_.Give(std::move(buffer_));
}

void Input::Unpark() {
  if (buffer_ == nullptr) {
    buffer_ = buffers_.Take();
    end_ = parked_.copy(buffer_->data(), parked_.size(), begin_);
    DropParked();
  } else if (begin_ > 0) {
    std::memmove(buffer_->data(), buffer_->data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
}

std::optional<Result<void>> Input::MoreNow(std::size_t most) {
  Unpark();
  const std::size_t room = std::min(most, buffer_->size() - end_);
  if (room == 0) return Fail(Errc::kTooLarge, "the read buffer is full");
  const auto received = socket_.ReceiveNow(std::span(*buffer_).subspan(end_, room));
  if (!received) {
    Park();
    return std::nullopt;
  }
  if (!*received) return std::unexpected(received->error());
  end_ += **received;
  return Result<void>();
}

Result<void> Input::AfterWait(bool waited) const {
  if (deadline_.passed()) return Fail(Errc::kTimeout, "the client is too slow");
  if (!waited) return Fail(Errc::kDisconnected, "the connection was lost");
  return {};
}

aio::Task<Result<void>> Input::More() {
  for (;;) {
    if (auto arrived = co_await Arrival(); !arrived) co_return arrived;
    if (auto now = MoreNow()) co_return *std::move(now);
  }
}

aio::Task<Result<void>> Input::Arrival() {
  if (!socket_.has_input()) Park();
  bool waited = true;
  while (waited && !deadline_.passed() && !socket_.has_input()) waited = co_await socket_.Event();
  co_return AfterWait(waited);
}

aio::Task<> Input::UntilClosed() {
  while (!socket_.is_hung_up() && co_await socket_.Event()) {
  }
}

}  // namespace lazaret::http
