#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lazaret::wire {

inline constexpr std::size_t kMaxPartHeaderFields = 32;

// What the headers of one multipart/form-data part say (RFC 7578 4).
struct PartHeaders {
  std::string name;  // of the form field; may be empty
  // As the client calls the file, for people only: it may hold any text, directories included. Empty for a part that
  // is no file. `filename*` (RFC 8187) wins over `filename`.
  std::optional<std::string> filename;
  std::string content_type;  // as sent; empty when absent, which means text/plain
  friend bool operator==(const PartHeaders&, const PartHeaders&) = default;
};

// Reads the header lines of one part. Errors name the defect but not the part.
class PartHeaderReader {
 public:
  // `line` comes without its CRLF and is not empty.
  Result<void> Add(std::string_view line);
  // At the empty line behind the last one.
  Result<PartHeaders> Finish();

 private:
  Result<void> ReadDisposition(std::string_view value);
  Result<void> ReadTransferEncoding(std::string_view value);

  PartHeaders headers_;
  std::size_t fields_ = 0;
  bool has_disposition_ = false;
  bool has_content_type_ = false;
};

}  // namespace lazaret::wire
