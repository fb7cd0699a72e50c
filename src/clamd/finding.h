#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/verdict.h"
#include "service/scan_service.h"
#include "wire/clamd_answer.h"

namespace lazaret::clamd {

// How a content is answered that could not be judged. Either way it is never OK.
enum class UnscannableAs : std::uint8_t {
  kError,  // "... ERROR"
  kFound,  // "Heuristics.<...> FOUND" when that lies in the content; what may be over in a minute stays an ERROR
};

// What one content, or the attempt to look into it, is answered with. Only a verdict, or an override in its place, can
// be clean.
class Finding {
 public:
  enum class Kind : std::uint8_t { kClean, kFound, kError };

  static Finding Of(const Verdict& verdict, UnscannableAs unscannable);
  static Finding Of(const Answer& answer, UnscannableAs unscannable);
  static Finding Of(const Error& error);
  // `text` is sent as it is: for clamd's own words.
  static Finding Failed(std::string_view text) { return Finding(Kind::kError, {std::string(text)}); }

  Kind kind() const { return kind_; }
  // One reply, or for `all_matches` one for each signature.
  std::string Reply(const wire::ClamdAnswer& answer, std::string_view subject, bool all_matches = false) const;

 private:
  Finding(Kind kind, std::vector<std::string> texts) : kind_(kind), texts_(std::move(texts)) {}

  Kind kind_;
  std::vector<std::string> texts_;  // signatures, or what went wrong
};

}  // namespace lazaret::clamd
