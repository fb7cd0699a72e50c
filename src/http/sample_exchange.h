#pragma once

#include <string>
#include <string_view>

#include "base/log.h"
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

  wire::RequestHead head;

 private:
  Log log_{LogFormat::kText, LogLevel::kError};
  IoThread thread_{log_};
  net::Socket socket_{thread_.io()};
  Deadline deadline_{socket_};
  Input input_{socket_, thread_.buffers(), deadline_};
  BodyTimes times_{seconds(1), seconds(1), 0};
  Body body_{head, socket_, input_, deadline_, times_};
  Exchange exchange_{head, body_, input_, thread_};
};

}  // namespace lazaret::http
