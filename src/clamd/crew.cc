#include "clamd/crew.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

#include "base/clock.h"
#include "base/exception.h"

namespace lazaret::clamd {
namespace asio = boost::asio;

Crew::Crew(aio::Executor executor, Log& log, std::size_t most)
    : most_(most), changed_(executor, SteadyTime::max()), group_(executor, [&log](std::exception_ptr error) {
        log.Error("clamd request failed", {{"error", WhatOf(error)}});
      }) {}

aio::Task<> Crew::Run(aio::Task<> task) {
  struct Leave {
    Crew& crew;
    ~Leave() {
      --crew.running_;
      crew.changed_.cancel();
    }
  } leave{*this};
  co_await std::move(task);
}

aio::Task<> Crew::WaitForPlace() {
  while (is_full()) co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
}

aio::Task<> Crew::Add(aio::Task<> task) {
  co_await WaitForPlace();
  ++running_;
  group_.Spawn(Run(std::move(task)));
}

aio::Task<> Crew::Wait() {
  while (running_ > 0) co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
}

aio::Task<> Crew::Stop() {
  group_.Close();
  group_.CancelAll();
  co_await group_.Wait();
}

}  // namespace lazaret::clamd
