#pragma once

#include <cstdint>
#include <string_view>

namespace lazaret::scanner {

// A measure for speed. After each layer libclamav evaluates the expression of every logical signature of the layer's
// kind ("0&1&(2|3)>1,2", ClamAV manual, "Logical signatures"), a quarter of a million for a Windows program, by parsing
// its text with sscanf(3). Nearly always nothing of it was matched, which can be seen at once.

// True only when the expression is false for sure: all sub-signatures that it names were matched `matches[number]` = 0
// times, and it has no operator ('=' or '<') that a missing match can satisfy. False means that it must be evaluated.
// What libclamav refused when it loaded the expression may be answered either way. No bounds are checked but that of
// `expression`: `matches` has 64 numbers, as many as a logical signature may have sub-signatures.
bool IsSurelyUnmatched(std::string_view expression, const std::uint32_t* matches);

// From now on libclamav evaluates only expressions that are not surely unmatched. In this process and those it forks.
// False when this libclamav has no such function.
[[nodiscard]] bool SkipUnmatchedExpressions();

}  // namespace lazaret::scanner
