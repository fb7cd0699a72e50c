#pragma once

#include <string>

#include "core/job.h"

namespace lazaret::http {

// One job as the control interface shows it to the operator: {"id", "state", "size", "submitted_at", "finished_at",
// "attempts", "lost", "note", "has_content"} and, once it has ended, the verdict's members as in ScanJson.
std::string JobJson(const Job& job);

}  // namespace lazaret::http
