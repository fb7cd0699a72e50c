#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "core/verdict.h"
#include "service/scan_service.h"

namespace lazaret::http {

// One scan as every answer of the API shows it: {"id", "status", "verdict", ...}. `name` is the client's own name for
// the content; it is left out when empty.
std::string ScanJson(const Digest& id, std::string_view name, const ScanState& state);

inline std::string ScanJson(const Digest& id, std::string_view name, const Answer& answer) {
  return ScanJson(id, name, ScanState{ScanStatus::kDone, answer});
}

// The members that say what was found, with a comma in front: `,"verdict":"infected","signatures":["..."]`.
std::string VerdictMembers(const Verdict& verdict);

// {"name", "version", "signature_set", "built_at", ...}
std::string EngineJson(const EngineInfo& engine);

}  // namespace lazaret::http
