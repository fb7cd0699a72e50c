#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "core/verdict.h"

namespace lazaret::fleet {

// A larger one is not stored, and not believed.
inline constexpr std::size_t kMaxVerdictBytes = 256 * 1024;

// The name of a content's verdict in Redis; all keys of one content are in one slot.
std::string VerdictKey(const Digest& content);

// A verdict as it is kept in Redis: what verdict_store.lua compares, in a fixed place, then core/verdict_encoding.
//   0  1  version, "1"
//   1  1  "p" passing, "l" lasting
//   2  1  "d" the signature set has a build time, "u" it has none
//   3  1  "t" the built-in test set, "r" a real one
//   4  8  that time, ms since 1970, big-endian, with the sign bit flipped so that bytes compare as numbers do
//  12 32  the engine's profile
// kTooLarge past kMaxVerdictBytes.
Result<std::string> EncodeVerdictValue(const Digest& content, const Verdict& verdict);
// kCorrupt unless `bytes` are what EncodeVerdictValue gave for `content`.
Result<VerdictPtr> DecodeVerdictValue(const Digest& content, Bytes bytes);

}  // namespace lazaret::fleet
