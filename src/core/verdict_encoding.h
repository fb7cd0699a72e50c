#pragma once

#include <string>

#include "base/result.h"
#include "core/verdict.h"

namespace lazaret {

// A verdict with its engine as self-contained bytes, for stores that keep it as one value: a version, the fields, and a
// check over all of it and the digest of the content that it was made for.
std::string EncodeVerdict(const Digest& content, const Verdict& verdict);

// kCorrupt unless `bytes` are what EncodeVerdict gave for `content`: a flipped bit, a cut or another content's verdict
// is never taken for one.
Result<VerdictPtr> DecodeVerdict(const Digest& content, Bytes bytes);

}  // namespace lazaret
