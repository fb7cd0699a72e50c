#pragma once

#include <boost/asio/io_context.hpp>

#include <optional>
#include <string>
#include <string_view>

#include "core/verdict_samples.h"
#include "http/exchange.h"

namespace lazaret::http {

// One request without a body or a connection, for tests of handlers.
class SampleExchange {
 public:
  // What is given must outlive this.
  SampleExchange(std::string_view method, std::string_view path, std::string_view query = {})
      : head{.method = method, .path = path, .query = query, .host = {}, .fields = {}} {}

  Response Answer(Handler& handler) { return Await(handler.Handle(exchange_)); }
  std::optional<Response> AnswerNow(Handler& handler) { return handler.HandleNow(exchange_); }

  wire::RequestHead head;

 private:
  boost::asio::io_context io_;
  aio::TaskGroup tasks_{io_.get_executor(), [](const std::exception_ptr&) {}};
  net::BufferPool buffers_;
  net::Poller poller_{io_};
  net::PolledSocket socket_{net::Socket(io_), poller_};
  Deadline deadline_{socket_};
  Input input_{socket_, buffers_, deadline_};
  BodyTimes times_{seconds(1), seconds(1), 0};
  Body body_{head, socket_, input_, deadline_, times_};
  Exchange exchange_{head, body_, input_, tasks_};
};

}  // namespace lazaret::http
