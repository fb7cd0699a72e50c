#pragma once

#include <string>

#include "core/override.h"

namespace lazaret::http {

// An override as answers that it gave show it: {"verdict", "signature", "reason", "by", "since", "until"}; the
// signature exactly when it is infected, until when it ends by itself.
std::string OverrideJson(const Override& entry);
// The same with its "id" in front, as the control interface shows it.
std::string OverrideJsonWithId(const Override& entry);

}  // namespace lazaret::http
