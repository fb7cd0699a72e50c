#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lazaret::wire {

// A header value with parameters, such as `form-data; name="a"` or `text/plain; charset=utf-8` (RFC 9110 5.6.6).
struct ParameterizedValue {
  struct Parameter {
    std::string name;   // in lower case; "filename*" is a name of its own
    std::string value;  // without the quotes and their escapes
  };

  std::string_view value;  // what comes before the first ";"; points into the text that was parsed
  std::vector<Parameter> parameters;

  // The value of that parameter, or null.
  const std::string* Find(std::string_view lower_case_name) const;
};

// A backslash in a quoted string escapes only a quote or a backslash: browsers have sent `filename="C:\dir\file"`.
// kMalformed for anything outside the grammar and for a parameter given twice, naming the defect but not the header.
Result<ParameterizedValue> ParseParameterizedValue(std::string_view text);

}  // namespace lazaret::wire
