#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "aio/task.h"
#include "base/clock.h"
#include "core/telemetry.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/scan_batch.h"
#include "http/scan_options.h"
#include "service/scan_service.h"
#include "spool/spool.h"

namespace lazaret::http {

struct ScanEndpointSettings {
  std::size_t max_parts = 1000;           // files in one multipart body
  milliseconds request_timeout{300'000};  // from the end of an upload to its answer
};

// POST /v1/scan: takes one file, or several as multipart/form-data, and answers when they have been judged.
class ScanEndpoint {
 public:
  ScanEndpoint(ScanEndpointSettings settings, ScanService& service, Spool& spool, const Clock& clock,
               Telemetry& telemetry);

  aio::Task<Response> Handle(Exchange& exchange);

 private:
  // What can be refused before the body is read.
  std::optional<Response> RefuseEarly(const Exchange& exchange) const;
  Response Refuse(const Error& error) const;
  Response RefuseBody(const Error& error) const;  // after an error while the body was read
  std::uint64_t MaxFormBytes() const;
  Error FormTooLarge() const;

  aio::Task<Response> ScanFile(Exchange& exchange, const ScanOptions& options);
  aio::Task<Response> ScanMultipart(Exchange& exchange, const ScanOptions& options, std::string_view content_type);
  aio::Task<Result<ContentPtr>> ReceiveFile(Exchange& exchange);
  // How many files there were; all of them are in `batch` then.
  aio::Task<std::expected<std::size_t, Response>> ReceiveParts(Exchange& exchange, std::string_view boundary,
                                                               ScanBatch& batch);

  const ScanEndpointSettings settings_;
  ScanService& service_;
  Spool& spool_;
  const Clock& clock_;
  Telemetry& telemetry_;
};

}  // namespace lazaret::http
