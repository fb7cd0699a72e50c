#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "load/response_reader.h"

namespace lazaret::bench {

// What a scan says, as far as it can be compared.
struct Verdict {
  std::string word;    // "clean", "infected", "unscannable"
  std::string detail;  // the names of what was found, joined with commas; the reason of an unscannable one

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

// Of a scan object, as the REST API writes it (docs/api.md); empty when there is no verdict in it.
std::optional<Verdict> ReadVerdict(std::string_view json);

// What an answer must be.
struct Expectation {
  int status = 200;
  bool verdict = true;                // there must be one
  std::optional<std::string> word{};  // and this one
};

// Empty when it is as expected, else what is wrong, as a key to count by: "status 503", "verdict clean, not infected".
std::string Defect(const Response& response, const Expectation& expected);

}  // namespace lazaret::bench
