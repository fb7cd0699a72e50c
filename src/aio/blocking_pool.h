#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "aio/task.h"

namespace lazaret::aio {

// Threads for what would block an I/O thread: disk and SQLite.
class BlockingPool {
 public:
  explicit BlockingPool(std::size_t threads) : pool_(threads) {}
  // Waits for the work that was begun. Nothing may be waiting on Run any more when its io_context goes.
  ~BlockingPool() { pool_.join(); }

  // Runs `work` on a thread of the pool some time; nobody waits for it.
  template <class Work>
  void Post(Work work) {
    boost::asio::post(pool_, std::move(work));
  }

  // Runs `work` on a thread of the pool and resumes the caller on its own executor with what `work` returned or threw.
  // Not cancellable: `work` may refer to the caller's variables.
  template <class Work>
  Task<std::invoke_result_t<Work&>> Run(Work work) {
    std::optional<std::invoke_result_t<Work&>> result;
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(std::exception_ptr)>(
        [this, &result, &work](auto handler) {
          auto guard = boost::asio::make_work_guard(boost::asio::get_associated_executor(handler));
          boost::asio::post(pool_, [&result, &work, guard = std::move(guard), handler = std::move(handler)]() mutable {
            std::exception_ptr error;
            try {
              result.emplace(work());
            } catch (...) {
              error = std::current_exception();
            }
            boost::asio::post(guard.get_executor(), [error, handler = std::move(handler)]() mutable {
              std::move(handler)(error);
            });
          });
        },
        boost::asio::use_awaitable);
    co_return *std::move(result);
  }

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace lazaret::aio
