#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/result.h"

// The fields Repr-Digest and Content-Digest (RFC 9530): dictionaries of digests by algorithm.
namespace lazaret::wire {

// The sha-256 member of a field value; empty when there is none. Several field lines are joined with ", " by the
// caller. Members of other algorithms must be well-formed (RFC 8941 3.2) and are ignored, as are parameters; of a
// member that is given twice the last one counts. Base64 padding may be missing (RFC 8941 4.2.7). kMalformed with a
// sentence that names the defect but not the field.
Result<std::optional<Digest>> ParseReprDigest(std::string_view value);

// "sha-256=:<base64>:"
std::string FormatReprDigest(const Digest& digest);

}  // namespace lazaret::wire
