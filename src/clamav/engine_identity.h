#pragma once

#include "clamav/signature_snapshot.h"
#include "core/verdict.h"
#include "wire/scanner_protocol.h"

namespace lazaret::clamav {

// What verdicts of this zygote are made with. The profile covers all that can change a verdict but the daily database:
// libclamav's version and features, the limits, the options, the rules by which the scanner judges, the versions of the
// other official databases, and the whole set when files are in it that do not say how old they are. So of two sets
// with the same profile the one that was built later has all that the other has.
EngineInfo DescribeEngine(const SignatureSnapshot& snapshot, const wire::LoadRequest& limits, const wire::Ready& ready);

// The same for a set that was gone back to from the one of digest `left`: with a profile of its own, so that what the
// newer one said, such as a false positive, answers for nobody who has gone back from it, in the whole fleet.
EngineInfo GoneBackFrom(const Digest& left, EngineInfo engine);

}  // namespace lazaret::clamav
