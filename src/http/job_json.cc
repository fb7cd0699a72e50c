#include "http/job_json.h"

#include <iterator>

#include <fmt/format.h>

#include "base/log.h"
#include "http/scan_json.h"

namespace lazaret::http {

std::string JobJson(const Job& job) {
  std::string out;
  out.reserve(512);
  auto to = std::back_inserter(out);
  fmt::format_to(to, R"({{"id":"{}","state":"{}","size":{},"submitted_at":"{}")", job.id.Hex(), ToString(job.state),
                 job.size, FormatRfc3339(job.submitted_at));
  if (job.finished_at) fmt::format_to(to, R"(,"finished_at":"{}")", FormatRfc3339(*job.finished_at));
  fmt::format_to(to, R"(,"attempts":{},"lost":{},"note":"{}","has_content":{})", job.attempts, job.lost,
                 EscapeJson(job.note), job.has_content);
  if (job.verdict != nullptr) {
    const ScanRecord& record = job.verdict->record();
    fmt::format_to(to, R"({},"scanned_at":"{}","scan_ms":{:.1f},"engine":{})", VerdictMembers(*job.verdict),
                   FormatRfc3339(record.scanned_at), record.scan_ms, EngineJson(*record.engine));
  }
  out += '}';
  return out;
}

}  // namespace lazaret::http
