#pragma once

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include "aio/task.h"
#include "base/result.h"

namespace lazaret::aio {

// What `task` returns, or what it threw as kInternal: for whoever has to go on after a broken assumption, or whose
// caller would not notice (operator||, Asio 1.81). A cancellation passes through.
template <class T>
Task<Result<T>> Caught(Task<T> task) {
  std::string what;
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      co_return Result<T>();
    } else {
      co_return co_await std::move(task);
    }
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::asio::error::operation_aborted) throw;
    what = error.what();
  } catch (const std::exception& error) {
    what = error.what();
  }
  co_return Fail(Errc::kInternal, std::move(what));
}

}  // namespace lazaret::aio
