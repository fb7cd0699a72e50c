#include "main/control_server.h"

#include <utility>

namespace lazaret {
namespace {

constexpr std::size_t kMostConnections = 64;

}  // namespace

std::filesystem::path ControlSocketIn(const std::filesystem::path& data) { return data / "control.sock"; }

Result<std::unique_ptr<ControlServer>> ControlServer::Listen(const std::filesystem::path& data, JobQueue& jobs,
                                                             http::OverrideEndpoint::Parts overrides,
                                                             http::SignatureEndpoint::Parts signatures,
                                                             const Clock& clock, Log& log, Telemetry& telemetry) {
  std::unique_ptr<ControlServer> control(
      new ControlServer(jobs, std::move(overrides), std::move(signatures), clock, log, telemetry));
  auto server = http::Listen({.net = {.listen = {"unix:" + ControlSocketIn(data).native()},
                                      .socket_mode = 0600,
                                      .socket_owner = {},
                                      .threads = 1,
                                      .max_connections = kMostConnections},
                              .connection = {}},
                             control->api_, log);
  if (!server) {
    Error error = std::move(server.error());
    // A limit that nobody who chooses a data directory thinks of.
    if (error.code == Errc::kMalformed) error.what += "; choose a shorter path with --data";
    return std::unexpected(std::move(error));
  }
  control->server_ = *std::move(server);
  return control;
}

aio::Task<> ControlServer::Stop(SteadyTime deadline) {
  co_await server_->Drain(deadline);
  server_->Stop();
}

}  // namespace lazaret
