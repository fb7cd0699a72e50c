#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lazaret::wire {

enum class Plus : bool { kIsPlus, kIsSpace };

// Undoes percent-encoding (RFC 3986 2.1); `plus` says what "+" means (a space in form data and query strings). The
// result may hold any byte, NUL and broken UTF-8 included. kMalformed for a "%" without two hexadecimal digits.
Result<std::string> PercentDecode(std::string_view text, Plus plus = Plus::kIsPlus);

// Everything but unreserved characters (RFC 3986 2.3) becomes percent-encoded.
std::string PercentEncode(std::string_view text);

}  // namespace lazaret::wire
