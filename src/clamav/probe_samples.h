#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lazaret::clamav {

struct ProbeSample {
  std::string_view name;  // "pdf", for people
  std::string content;
};

// Small harmless contents of common formats, made here: no signature of use matches any of them.
std::vector<ProbeSample> CleanSamples();

}  // namespace lazaret::clamav
