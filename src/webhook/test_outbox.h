#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/outbox.h"

namespace lazaret::webhook {

// An outbox in memory on one executor, where leases never end and what is postponed or returned never comes back, so
// that a test sees what became of each message.
class TestOutbox final : public Outbox {
 public:
  aio::Task<Result<void>> Add(Digest id, VerdictPtr verdict, Callback callback) override {
    const std::uint64_t number = next_++;
    Put({.number = number,
         .message_id = "msg_" + std::to_string(number),
         .id = id,
         .callback = std::move(callback),
         .verdict = std::move(verdict),
         .attempts = 0});
    co_return Result<void>{};
  }

  aio::Task<Result<std::optional<Delivery>>> TakeDue(milliseconds lease, SteadyTime until) override {
    last_lease = lease;
    if (auto failure = TakeFailure(take_failures)) co_return std::unexpected(*failure);
    if (due_.empty()) {
      boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, until);
      arrival_ = &timer;
      co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      arrival_ = nullptr;
    }
    if (due_.empty()) co_return std::nullopt;
    Delivery delivery = std::move(due_.front());
    due_.pop_front();
    leased.push_back(delivery.number);
    co_return delivery;
  }

  aio::Task<Result<void>> Close(std::uint64_t number) override {
    if (auto failure = TakeFailure(close_failures)) co_return std::unexpected(*failure);
    std::erase(leased, number);
    closed.push_back(number);
    co_return Result<void>{};
  }

  aio::Task<Result<void>> Postpone(std::uint64_t number, milliseconds pause) override {
    if (auto failure = TakeFailure(close_failures)) co_return std::unexpected(*failure);
    std::erase(leased, number);
    postponed.emplace(number, pause);
    co_return Result<void>{};
  }

  aio::Task<Result<void>> Return(std::uint64_t number, milliseconds pause) override {
    if (auto failure = TakeFailure(close_failures)) co_return std::unexpected(*failure);
    std::erase(leased, number);
    returned.emplace(number, pause);
    co_return Result<void>{};
  }

  std::uint64_t waiting() const override { return due_.size() + postponed.size() + returned.size(); }

  void Put(Delivery delivery) {
    due_.push_back(std::move(delivery));
    if (arrival_ != nullptr) arrival_->cancel();
  }

  std::vector<std::uint64_t> leased;  // and neither closed nor postponed nor returned
  std::vector<std::uint64_t> closed;
  std::map<std::uint64_t, milliseconds> postponed;
  std::map<std::uint64_t, milliseconds> returned;
  int take_failures = 0;   // so many calls of TakeDue fail
  int close_failures = 0;  // so many calls of Close, Postpone and Return fail
  milliseconds last_lease{0};

 private:
  static std::optional<Error> TakeFailure(int& left) {
    if (left == 0) return std::nullopt;
    --left;
    return Error{Errc::kUnavailable, "the disk has gone"};
  }

  std::deque<Delivery> due_;
  boost::asio::steady_timer* arrival_ = nullptr;
  std::uint64_t next_ = 1;
};

}  // namespace lazaret::webhook
