#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/digest.h"
#include "base/result.h"
#include "wire/part_headers.h"

// multipart/form-data request bodies (RFC 7578, RFC 2046 5.1). Whatever another reader could split into different
// files than we do is an error: we must judge the files that the application behind us will see.
namespace lazaret::wire {

inline constexpr std::size_t kMaxPartHeaderBytes = 8 * 1024;  // of one part, line ends included
inline constexpr std::size_t kMaxMultipartFiller = 8 * 1024;  // before the first boundary; behind the last one

// Whether a Content-Type value says multipart/form-data. Any other type, multipart/mixed included, is just a file.
bool IsMultipart(std::string_view content_type);

// The boundary of a multipart/form-data Content-Type value: 1 to 70 characters (RFC 2046 5.1.1), as a token or quoted.
Result<std::string> ParseBoundary(std::string_view content_type);

struct PartBegin : PartHeaders {};
struct PartData {
  Bytes bytes;  // never empty
};
struct PartEnd {};
struct MultipartEnd {};  // the closing boundary was read; Finish says whether what follows it is in order
using MultipartEvent = std::variant<PartBegin, PartData, PartEnd, MultipartEnd>;

// Turns a body into PartBegin, PartData*, PartEnd, ..., MultipartEnd as its bytes arrive, with constant memory:
//
//   parser.Feed(bytes);
//   for (;;) {
//     auto event = parser.Next();
//     if (!event) return error;
//     if (!*event) break;  // needs more input: read, Feed again; at the end of the body, Finish
//     ...
//   }
//
// The bytes given to Feed must stay where they are until Next returned empty. The bytes of a PartData lie in them or
// in the parser; they live until the next call of Next or Feed, or until the parser is moved or destroyed.
class MultipartParser {
 public:
  // `boundary` comes from ParseBoundary.
  MultipartParser(std::string_view boundary, std::size_t max_parts);

  // Only after Next returned empty, and at the beginning.
  void Feed(Bytes bytes) { input_ = bytes; }

  // What Next has not looked at, and where it lies from now on: for who cannot leave the bytes where they are.
  Bytes rest() const { return input_; }
  void MoveRest(Bytes moved) { input_ = moved; }

  // Empty when more input is needed. kTooLarge when a limit is passed, kMalformed with a sentence that names the
  // defect and the part (counted from 1) otherwise; the parser then repeats that error for ever.
  Result<std::optional<MultipartEvent>> Next();

  // At the end of the body: kMalformed unless the closing boundary was read, or the error that Next returned.
  Result<void> Finish() const;

 private:
  enum class State : std::uint8_t {
    kPreamble,
    kContent,
    kBehindBoundary,
    kClosingDash,
    kPadding,
    kBoundaryLf,
    kHeaders,
    kClosed,
    kClosedLf,
    kEpilogue,
    kFailed,
  };
  using Step = Result<std::optional<MultipartEvent>>;

  Step TakePreamble();
  Step TakePart();
  Step TakeHeaders();
  Step TakeEpilogue();
  // One byte of the line that holds a boundary.
  Step TakeBoundaryLine(char c);
  Bytes TakeContent();
  bool AtDelimiter() const { return matched_ == delimiter_.size(); }
  void StartAfterLineEnd();
  std::unexpected<Error> Refuse(Errc code, std::string what);

  std::string delimiter_;  // CRLF "--" boundary
  std::size_t max_parts_;
  Bytes input_;
  State state_ = State::kPreamble;
  // The last bytes that were seen are the first `matched_` of the delimiter; the first `borrowed_` of those belong to
  // the line before and are not content.
  std::size_t matched_ = 0;
  std::size_t borrowed_ = 0;
  std::size_t parts_ = 0;
  std::size_t filler_bytes_ = 0;
  std::size_t header_bytes_ = 0;
  std::string line_;  // the header line that is not complete yet
  PartHeaderReader headers_;
  Error error_{};  // in kFailed
};

}  // namespace lazaret::wire
