#pragma once

#include <cstdint>

#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "clamav/clamd_client.h"
#include "clamav/clamd_identity.h"
#include "wire/clamd_reply.h"

namespace lazaret::clamav {

struct ExaminationSettings {
  std::uint64_t max_file_size = 0;  // the largest content that will be sent; at least 64 KiB
  bool require_alerts = true;       // a server without AlertExceedsMax and AlertEncrypted will not do
};

// What was found out about one running clamd.
struct ExaminedClamd {
  ClamdClient client;  // as contents have to be sent to it
  wire::ClamdVersion version;
  ClamdAbilities abilities;
};

// Has the clamd at `client` scan probes (clamd_probe.h). `known_largest` is the largest content that this very process
// is known to look into, when `client` sends as it takes them; 0 when that has to be found out. Errors as of
// ClamdClient; kUnavailable, too, when it is no server to be used.
aio::Task<Result<ExaminedClamd>> ExamineClamd(ClamdClient client, ExaminationSettings settings,
                                              std::uint64_t known_largest, const Clock& clock);

}  // namespace lazaret::clamav
