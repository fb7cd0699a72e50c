#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lazaret::fleet {

inline constexpr std::size_t kChunkBytes = 512 * 1024;
inline constexpr std::size_t kMaxChunks = 8192;

// Where a job's content lies, as its record says: "" nowhere, "i" in the record itself, "c:<name>:<count>" in chunks,
// "f:<name>" in the shared directory. The name is another one for each submit, so that what is being deleted is never
// what has just been written.
struct ContentPlace {
  enum class Kind { kNowhere, kInline, kChunks, kFile };

  Kind kind = Kind::kNowhere;
  std::string name = {};  // hexadecimal digits
  std::size_t chunks = 0;

  std::string Text() const;
  // Empty when it is none of the above.
  static std::optional<ContentPlace> Parse(std::string_view text);
  friend bool operator==(const ContentPlace&, const ContentPlace&) = default;
};

}  // namespace lazaret::fleet
