#include "clamd/server.h"

#include <string_view>
#include <utility>

namespace lazaret::clamd {
namespace {

constexpr std::string_view kBusy = "Too many connections (clamd.max_connections). ERROR\n";

class Thread final : public net::IoThread {
 public:
  Thread(ConnectionSettings settings, Inspector& inspector, Log& log)
      : IoThread("clamd connection", log), settings_(settings), inspector_(inspector) {}

  aio::Task<> Serve(net::Socket socket, const std::atomic<bool>& draining) override {
    Connection connection(std::move(socket), *this, inspector_, settings_, draining);
    co_await connection.Run();
  }

 private:
  const ConnectionSettings settings_;
  Inspector& inspector_;
};

}  // namespace

Result<std::unique_ptr<net::Server>> Listen(ServerSettings settings, Inspector& inspector, Log& log) {
  const auto make_thread = [&] { return std::make_unique<Thread>(settings.connection, inspector, log); };
  return net::Server::Listen(std::move(settings.net), {.make_thread = make_thread, .busy = kBusy}, log);
}

}  // namespace lazaret::clamd
