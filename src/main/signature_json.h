#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "clamav/signature_check.h"
#include "clamav/signature_status.h"
#include "core/signature_age.h"

// The signatures as /v1/info, the control interface and `lazaret signatures check` show them.
namespace lazaret {

// {"directory", "in_use", "mode", "current", "previous", "candidate", "refused", "pin", "jump", "looked_at", "warning",
// "load_errors"}; what there is not is null. `old` is what is said of signatures that are too old.
std::string SignatureJson(const clamav::SignatureStatus& status, const std::optional<OldSignatures>& old, WallTime now);

// {"directory", "usable", "refused", and what is known: "digest", "files", "bytes", "label", "signatures", "built_at",
// "load_ms", "finds_eicar", "load_errors", "warnings"}. An error is a refusal, too.
std::string SignatureCheckJson(const std::filesystem::path& directory, const Result<clamav::SignatureCheck>& check);

}  // namespace lazaret
