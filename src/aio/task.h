#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace lazaret::aio {

// A coroutine of ours: lazy, resumes on the executor it was spawned on, ends early by an exception when cancelled.
template <class T = void>
using Task = boost::asio::awaitable<T>;

using Executor = boost::asio::any_io_executor;

}  // namespace lazaret::aio
