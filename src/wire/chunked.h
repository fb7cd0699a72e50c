#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/digest.h"
#include "base/result.h"

namespace lazaret::wire {

inline constexpr std::size_t kMaxChunkExtensionBytes = 256;  // behind the size of one chunk
inline constexpr std::size_t kMaxTrailerBytes = 8 * 1024;    // all trailer lines of a body

// Takes the chunked transfer coding off a body (RFC 9112 7.1), strictly and without copying: every line ends in CRLF,
// chunk extensions and trailer fields are checked, bounded and otherwise ignored. Owns no memory beyond itself.
class ChunkedDecoder {
 public:
  struct Step {
    std::size_t consumed = 0;  // bytes of the input that are done with; never 0 while input is there and !done
    Bytes data;                // content, a part of the input given to Feed; may be empty
    bool done = false;         // the body is complete; what follows `consumed` is the next request
  };

  // Decodes from the front of `input` up to the end of one run of content, of the body, or of the input. Feed the
  // rest, `input.subspan(consumed)`, again. kMalformed or kTooLarge with a sentence that names the defect; the
  // decoder then repeats that error for ever.
  Result<Step> Feed(Bytes input);

 private:
  enum class State : std::uint8_t {
    kSizeFirst,
    kSize,
    kExtensionSpace,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kDone,
    kFailed,
  };

  // Takes one byte that is not content.
  void Take(char c);
  void TakeSize(char c);
  void TakeTrailer(char c);
  void Refuse(Errc code, std::string_view defect);

  State state_ = State::kSizeFirst;
  std::uint64_t remaining_ = 0;  // while a size is read: its value so far; in kData: content still to come
  std::size_t digits_ = 0;
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  Errc code_ = Errc::kMalformed;
  std::string_view defect_;  // a string literal; set in kFailed
};

}  // namespace lazaret::wire
