#pragma once

#include "clamav/signature_snapshot.h"
#include "core/verdict.h"
#include "wire/scanner_protocol.h"

namespace lazaret::clamav {

// What verdicts of this zygote are made with. The profile covers all that can change a verdict but the signatures:
// libclamav's version and features, the limits, the options, and the rules by which the scanner judges.
EngineInfo DescribeEngine(const SignatureSnapshot& snapshot, const wire::LoadRequest& limits,
                          const wire::Ready& ready);

}  // namespace lazaret::clamav
