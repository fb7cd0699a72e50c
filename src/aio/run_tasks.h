#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <cstddef>
#include <future>
#include <vector>

#include "aio/task.h"

namespace lazaret::aio {

// Runs `make(i)`, which gives a task, for each i < `count`, `concurrent` at a time, on an executor of its own: for
// benchmarks. Throws what a task threw.
template <class Make>
void RunTasks(std::size_t count, std::size_t concurrent, Make make) {
  boost::asio::io_context io;
  std::size_t next = 0;
  const auto worker = [&]() -> Task<> {
    while (next < count) co_await make(next++);
  };
  std::vector<std::future<void>> workers;
  for (std::size_t i = 0; i < concurrent; ++i) {
    workers.push_back(boost::asio::co_spawn(io, worker(), boost::asio::use_future));
  }
  io.run();
  for (auto& done : workers) done.get();
}

}  // namespace lazaret::aio
