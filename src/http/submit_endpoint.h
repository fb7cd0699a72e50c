#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "aio/task.h"
#include "base/clock.h"
#include "core/telemetry.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/scan_options.h"
#include "http/upload.h"
#include "service/job_service.h"
#include "spool/spool.h"

namespace lazaret::http {

// POST /v1/scans: takes what POST /v1/scan takes, and answers with 202 once it is durable; with 200 when all of it was
// known.
class SubmitEndpoint {
 public:
  // Says why an URL may not be called back; any thread.
  using CheckCallback = std::function<Result<void>(std::string_view url)>;

  SubmitEndpoint(const UploadSettings& upload, JobService& jobs, Spool& spool, CheckCallback check_callback,
                 const Clock& clock, Telemetry& telemetry);

  aio::Task<Response> Handle(Exchange& exchange);

 private:
  class Sink;
  struct File {
    std::string name;
    ContentPtr content;
  };

  aio::Task<Response> SubmitFile(Exchange& exchange, const SubmitOptions& options);
  aio::Task<Response> SubmitForm(Exchange& exchange, SubmitOptions options, std::string_view boundary);
  Response Respond(const Digest& id, std::string_view name, const Submission& submission) const;
  void AddHeaders(Response& response, const Digest* only_id) const;

  JobService& jobs_;
  const CheckCallback check_callback_;
  const Upload upload_;
};

}  // namespace lazaret::http
