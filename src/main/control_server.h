#pragma once

#include <filesystem>
#include <memory>
#include <utility>

#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/job_queue.h"
#include "core/telemetry.h"
#include "http/control_api.h"
#include "http/server.h"

namespace lazaret {

// Where the server of a data directory listens for its operator.
std::filesystem::path ControlSocketIn(const std::filesystem::path& data);

// The operator's interface (http/control_api.h) on a socket that nobody but the server's user, and root, can open, with
// a thread of its own: it answers also when the REST interface is full. Everything must outlive it.
class ControlServer {
 public:
  // `data` is the absolute path of the data directory, which the caller owns. Fails as http::Listen does.
  static Result<std::unique_ptr<ControlServer>> Listen(const std::filesystem::path& data, JobQueue& jobs,
                                                       http::OverrideEndpoint::Parts overrides,
                                                       http::SignatureEndpoint::Parts signatures, const Clock& clock,
                                                       Log& log, Telemetry& telemetry);

  void Start() { server_->Start(); }
  // Removes the socket, answers what is under way, at most until `deadline`, and ends the thread. Any executor.
  aio::Task<> Stop(SteadyTime deadline);

 private:
  ControlServer(JobQueue& jobs, http::OverrideEndpoint::Parts overrides, http::SignatureEndpoint::Parts signatures,
                const Clock& clock, Log& log, Telemetry& telemetry)
      : api_(jobs, std::move(overrides), std::move(signatures), clock, log, telemetry) {}

  http::ControlApi api_;
  std::unique_ptr<net::Server> server_;
};

}  // namespace lazaret
