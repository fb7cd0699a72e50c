#pragma once

#include <cstdint>

#include "base/clock.h"
#include "core/verdict.h"
#include "wire/clamd_reply.h"

namespace lazaret::clamav {

// What was found out about one running clamd by having it scan probes (clamd_probe.h).
struct ClamdAbilities {
  bool tells_limits = false;      // AlertExceedsMax
  bool tells_encryption = false;  // AlertEncrypted
  std::uint64_t largest = 0;      // content that it is known to look into, bytes

  friend bool operator==(const ClamdAbilities&, const ClamdAbilities&) = default;
};

// What verdicts of a clamd that answers VERSION so are made with. The signature set is VERSION's text: engine, number
// and date of the daily database. Other databases (main, bytecode, custom ones) show in no answer of clamd, so a change
// of nothing but those goes unnoticed. A server without a daily database names no set at all: its sets count as new
// ones every day (UTC, by `now`), so that no verdict of its is trusted for longer. The profile is that there is a
// clamd, `max_file_size`, and its abilities.
EngineInfo DescribeClamd(const wire::ClamdVersion& version, const ClamdAbilities& abilities,
                         std::uint64_t max_file_size, WallTime now);

// The older signature set of the two, by number and date of the daily database; null when that does not tell.
const wire::ClamdVersion* OlderOf(const wire::ClamdVersion& a, const wire::ClamdVersion& b);
// Whether `a` certainly is the newer set; of equal sets, whether it is the newer engine.
bool IsNewer(const wire::ClamdVersion& a, const wire::ClamdVersion& b);

}  // namespace lazaret::clamav
