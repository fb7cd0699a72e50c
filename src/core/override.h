#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/digest.h"
#include "base/result.h"
#include "core/verdict.h"

namespace lazaret {

inline constexpr std::size_t kMaxOverrideReason = 500;  // bytes
inline constexpr std::size_t kMaxOverrideSignature = 128;
// What a content is denied as unless another name is chosen.
inline constexpr std::string_view kOverrideSignature = "Lazaret.Override";

// The operator's own word about one content, in place of what an engine finds out. It is no Verdict: nobody looked into
// the content, and it is never kept where verdicts are.
struct Override {
  Digest id;
  VerdictKind kind;       // kClean or kInfected
  std::string signature;  // what it is denied as; exactly with kInfected
  std::string reason;     // for people
  std::string by;         // who said so
  WallTime since;
  std::optional<WallTime> until;  // empty: until it is removed

  friend bool operator==(const Override&, const Override&) = default;
};
using OverridePtr = std::shared_ptr<const Override>;

// kMalformed, with a sentence for the operator, unless the fields are such as the comments above say: the signature is
// 1 to kMaxOverrideSignature letters, digits and "._-+/", the reason 1 to kMaxOverrideReason bytes without control
// characters.
Result<void> CheckOverride(const Override& entry);

// As self-contained bytes for stores: a version, the fields, and a check over them.
std::string EncodeOverride(const Override& entry);
// kCorrupt unless `bytes` are what EncodeOverride gave for an override that CheckOverride takes.
Result<Override> DecodeOverride(Bytes bytes);

}  // namespace lazaret
