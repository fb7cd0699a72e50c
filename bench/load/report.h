#pragma once

#include <string>

#include "base/result.h"
#include "load/load_run.h"
#include "load/plan.h"

namespace lazaret::bench {

// One object: counts, rates a second, latencies in milliseconds, what was wrong.
std::string ToJson(const Plan& plan, const Outcome& outcome);
// A few lines for people.
std::string ToText(const Plan& plan, const Outcome& outcome);

// Lines of name, verdict and detail between tabs, in the order of the names; a name with a tab or a line feed is an
// error.
Result<void> WriteAnswers(const std::filesystem::path& path, const Tally& tally);

}  // namespace lazaret::bench
