#include "http/server.h"

#include <string_view>
#include <utility>

#include "http/date_field.h"

namespace lazaret::http {
namespace {

constexpr std::string_view kBusy =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: application/problem+json\r\n"
    "Content-Length: 109\r\nConnection: close\r\n\r\n"
    R"x({"type":"urn:lazaret:problem:overloaded","status":503,"detail":"too many connections (http.max_connections)"})x";

class Thread final : public net::IoThread {
 public:
  Thread(ConnectionSettings settings, Handler& handler, Log& log)
      : IoThread("connection", log), settings_(settings), handler_(handler) {}

  aio::Task<> Serve(net::Socket socket, const std::atomic<bool>& draining) override {
    Connection connection(std::move(socket), *this, date_, handler_, settings_, draining);
    co_await connection.Run();
  }

 private:
  const ConnectionSettings settings_;
  Handler& handler_;
  DateField date_;
};

}  // namespace

Result<std::unique_ptr<net::Server>> Listen(ServerSettings settings, Handler& handler, Log& log) {
  const auto make_thread = [&] { return std::make_unique<Thread>(settings.connection, handler, log); };
  return net::Server::Listen(std::move(settings.net), {.make_thread = make_thread, .busy = kBusy}, log);
}

}  // namespace lazaret::http
