#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "aio/task.h"
#include "base/clock.h"
#include "core/telemetry.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/scan_options.h"
#include "http/upload.h"
#include "service/scan_service.h"
#include "spool/spool.h"

namespace lazaret::http {

struct ScanEndpointSettings {
  std::size_t max_parts = 1000;           // files in one multipart body
  milliseconds request_timeout{300'000};  // from the end of an upload to its answer; for a turn at the disk
};

// POST /v1/scan: takes one file, or several as multipart/form-data, and answers when they have been judged.
class ScanEndpoint {
 public:
  ScanEndpoint(ScanEndpointSettings settings, ScanService& service, Spool& spool, const Clock& clock,
               Telemetry& telemetry);

  aio::Task<Response> Handle(Exchange& exchange);
  // The answer when it can be given at once: a small file that has arrived whole and whose verdict is at hand. Such a
  // request takes no room, no scan and no coroutine, and so it is not refused when the server is busy. Else empty, with
  // nothing done.
  std::optional<Response> HandleNow(Exchange& exchange);

 private:
  class Sink;

  aio::Task<Response> ScanFile(Exchange& exchange, const ScanOptions& options);
  aio::Task<Response> ScanForm(Exchange& exchange, const ScanOptions& options, std::string_view boundary);

  const ScanEndpointSettings settings_;
  ScanService& service_;
  const Clock& clock_;
  const Upload upload_;
};

}  // namespace lazaret::http
