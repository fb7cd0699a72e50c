#pragma once

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "aio/task.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "http/body.h"
#include "http/input.h"
#include "http/response.h"
#include "wire/http_head.h"

namespace lazaret::http {

// One request on its way to its answer.
struct Exchange {
  const wire::RequestHead& head;
  Body& body;
  Input& input;
  aio::TaskGroup& tasks;           // of the connection's thread
  bool client_gone = false;        // there is nobody to answer any more
  SteadyTime started = {};         // when its handling began; the router says
  std::string_view variable = {};  // what stands in the path where the route has a variable piece

  // The result of `task`; empty, and the task is cancelled, when the client leaves first. What the client sends
  // meanwhile is not looked at. `task` must report its failures as a Result (see aio::WithDeadline).
  template <class T>
  aio::Task<std::optional<T>> UnlessClientLeaves(aio::Task<T> task) {
    using namespace boost::asio::experimental::awaitable_operators;
    auto first = co_await (std::move(task) || input.UntilClosed());
    if (first.index() == 0) co_return std::get<0>(std::move(first));
    client_gone = true;
    co_return std::nullopt;
  }
};

// Turns requests into answers.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual aio::Task<Response> Handle(Exchange& exchange) = 0;
  // Handle without waiting, and without a coroutine: empty, with nothing done, when that is for Handle.
  virtual std::optional<Response> HandleNow(Exchange& /*exchange*/) { return std::nullopt; }
  // An answer to a head that could not be read, to be counted beside the others.
  virtual Response OnBadHead(const Error& error) = 0;
};

}  // namespace lazaret::http
