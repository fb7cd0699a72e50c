#include "aio/task_group.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <cassert>
#include <utility>
#include <vector>

namespace lazaret::aio {
namespace asio = boost::asio;

namespace {

bool IsCancellation(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error& e) {
    return e.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

}  // namespace

TaskGroup::TaskGroup(Executor executor, std::function<void(std::exception_ptr)> on_exception)
    : executor_(std::move(executor)), on_exception_(std::move(on_exception)) {}

TaskGroup::~TaskGroup() { assert(running_.empty()); }

bool TaskGroup::Spawn(Task<> task) {
  if (closed_) return false;
  Start(std::move(task), std::make_shared<asio::cancellation_signal>());
  return true;
}

std::function<void()> TaskGroup::SpawnCancellable(Task<> task) {
  if (closed_) return {};
  auto signal = std::make_shared<asio::cancellation_signal>();
  Start(std::move(task), signal);
  return [weak = std::weak_ptr(signal)] {
    if (const auto alive = weak.lock()) alive->emit(asio::cancellation_type::terminal);
  };
}

void TaskGroup::Start(Task<> task, const std::shared_ptr<asio::cancellation_signal>& signal) {
  const auto self = running_.insert(running_.end(), signal);
  asio::co_spawn(executor_, std::move(task),
                 asio::bind_cancellation_slot(signal->slot(), [this, self](std::exception_ptr error) {
                   if (error && !IsCancellation(error)) on_exception_(error);
                   running_.erase(self);
                   if (!running_.empty()) return;
                   for (auto& waiter : std::exchange(idle_waiters_, {})) waiter();
                 }));
}

void TaskGroup::Close() { closed_ = true; }

void TaskGroup::CancelAll() {
  // A cancelled task may end at once and leave the list: walk a copy.
  const std::vector<std::shared_ptr<asio::cancellation_signal>> signals(running_.begin(), running_.end());
  for (const auto& signal : signals) signal->emit(asio::cancellation_type::terminal);
}

Task<> TaskGroup::Wait() {
  while (!running_.empty()) {
    co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(
        [this](auto handler) {
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          idle_waiters_.emplace_back([this, shared] {
            asio::post(executor_, [shared] { std::move (*shared)(); });
          });
        },
        asio::use_awaitable);
  }
}

}  // namespace lazaret::aio
