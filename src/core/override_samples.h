#pragma once

#include <string>

#include "core/override.h"
#include "core/verdict_samples.h"

namespace lazaret {

// An override of SampleDigest(number), for tests.
inline Override SampleOverride(std::size_t number, VerdictKind kind = VerdictKind::kClean) {
  return {.id = SampleDigest(number),
          .kind = kind,
          .signature = kind == VerdictKind::kInfected ? std::string(kOverrideSignature) : std::string(),
          .reason = "false alarm " + std::to_string(number),
          .by = "alice",
          .since = WallTime(milliseconds(1'763'881'200'123)),
          .until = std::nullopt};
}

}  // namespace lazaret
