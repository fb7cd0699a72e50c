#include "wire/multipart.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "wire/header_value.h"
#include "wire/http_text.h"

namespace lazaret::wire {
namespace {

constexpr std::size_t kMaxBoundary = 70;

constexpr bool IsBoundaryChar(char c) {
  return IsAlpha(c) || IsDigit(c) || std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos;
}

std::unexpected<Error> RefuseType(std::string_view defect) {
  return Fail(Errc::kMalformed, fmt::format("Content-Type: {}", defect));
}

// How many of the last bytes of `text` begin `delimiter`. Its CR occurs in it only once, at the front.
std::size_t DelimiterPrefixAtEnd(std::string_view text, std::string_view delimiter) {
  const std::size_t window = std::min(text.size(), delimiter.size() - 1);
  const std::size_t cr = text.substr(text.size() - window).rfind('\r');
  if (cr == std::string_view::npos) return 0;
  const std::size_t length = window - cr;
  return text.ends_with(delimiter.substr(0, length)) ? length : 0;
}

// Where `delimiter` begins in `text`. Its shape is known, CRLF "--" and more, so that a whole block can be ruled out by
// a loop that the compiler turns into vector instructions; memmem(3) is up to 20 times slower on hostile content.
std::size_t FindDelimiter(std::string_view text, std::string_view delimiter) {
  constexpr std::size_t kBlock = 64;
  const std::size_t last = delimiter.size() - 1;
  const auto matches = [&](std::size_t at) {
    return text[at] == '\r' && std::memcmp(text.data() + at, delimiter.data(), delimiter.size()) == 0;
  };
  std::size_t at = 0;
  for (; at + kBlock + last <= text.size(); at += kBlock) {
    const char* begin = text.data() + at;
    unsigned char candidates = 0;
    for (std::size_t i = 0; i < kBlock; ++i) {
      candidates |= static_cast<unsigned char>(begin[i] == '\r') & static_cast<unsigned char>(begin[i + 2] == '-') &
                    static_cast<unsigned char>(begin[i + last] == delimiter[last]);
    }
    if (candidates == 0) continue;
    for (std::size_t i = at; i < at + kBlock; ++i) {
      if (matches(i)) return i;
    }
  }
  for (; at + last < text.size(); ++at) {
    if (matches(at)) return at;
  }
  return std::string_view::npos;
}

}  // namespace

bool IsMultipart(std::string_view content_type) {
  return EqualsIgnoreCase(TrimOws(content_type.substr(0, content_type.find(';'))), "multipart/form-data");
}

Result<std::string> ParseBoundary(std::string_view content_type) {
  if (!IsMultipart(content_type)) return RefuseType("it is not multipart/form-data");
  const auto parsed = ParseParameterizedValue(content_type);
  if (!parsed) return RefuseType(parsed.error().what);
  const std::string* boundary = parsed->Find("boundary");
  if (boundary == nullptr) return RefuseType("it has no boundary");
  if (boundary->empty()) return RefuseType("the boundary is empty");
  if (boundary->size() > kMaxBoundary) return RefuseType("the boundary is longer than 70 characters");
  if (!std::ranges::all_of(*boundary, IsBoundaryChar)) return RefuseType("the boundary holds a forbidden character");
  if (boundary->back() == ' ') return RefuseType("the boundary ends in a space");
  return *boundary;
}

MultipartParser::MultipartParser(std::string_view boundary, std::size_t max_parts)
    : delimiter_(fmt::format("\r\n--{}", boundary)), max_parts_(max_parts) {
  StartAfterLineEnd();
}

// The line end that a delimiter begins with may be that of the line before: of the headers when a part is empty, and
// the beginning of the body counts as one.
void MultipartParser::StartAfterLineEnd() { matched_ = borrowed_ = 2; }

Result<std::optional<MultipartEvent>> MultipartParser::Next() {
  if (state_ == State::kFailed) return std::unexpected(error_);
  while (!input_.empty() || AtDelimiter()) {
    Step step;
    switch (state_) {
      case State::kPreamble: step = TakePreamble(); break;
      case State::kContent: step = TakePart(); break;
      case State::kHeaders: step = TakeHeaders(); break;
      case State::kEpilogue: step = TakeEpilogue(); break;
      default: {
        const auto c = static_cast<char>(input_.front());
        input_ = input_.subspan(1);
        step = TakeBoundaryLine(c);
      }
    }
    if (!step || *step) return step;
  }
  return std::nullopt;
}

Result<void> MultipartParser::Finish() const {
  if (state_ == State::kFailed) return std::unexpected(error_);
  if (state_ == State::kClosed || state_ == State::kEpilogue) return {};
  return Fail(Errc::kMalformed, "multipart body ends before its closing boundary");
}

MultipartParser::Step MultipartParser::TakePreamble() {
  if (AtDelimiter()) {
    matched_ = borrowed_ = 0;
    state_ = State::kBehindBoundary;
    return std::nullopt;
  }
  filler_bytes_ += TakeContent().size();
  if (filler_bytes_ > kMaxMultipartFiller) {
    return Refuse(Errc::kTooLarge, "multipart body has more than 8 KiB before its first boundary");
  }
  return std::nullopt;
}

MultipartParser::Step MultipartParser::TakePart() {
  if (AtDelimiter()) {
    matched_ = borrowed_ = 0;
    state_ = State::kBehindBoundary;
    return PartEnd{};
  }
  const Bytes content = TakeContent();
  if (content.empty()) return std::nullopt;
  return PartData{content};
}

// The next run of bytes before a delimiter; empty when there is none before the delimiter or the end of the input.
Bytes MultipartParser::TakeContent() {
  if (matched_ > 0) {
    const std::size_t size = std::min(delimiter_.size() - matched_, input_.size());
    if (std::memcmp(input_.data(), delimiter_.data() + matched_, size) == 0) {
      matched_ += size;
      input_ = input_.subspan(size);
      return {};
    }
    const Bytes held = AsBytes(delimiter_).subspan(borrowed_, matched_ - borrowed_);
    matched_ = borrowed_ = 0;
    if (!held.empty()) return held;
  }
  const std::string_view text = AsText(input_);
  std::size_t size = FindDelimiter(text, delimiter_);
  if (size != std::string_view::npos) {
    matched_ = delimiter_.size();
  } else {
    matched_ = DelimiterPrefixAtEnd(text, delimiter_);
    size = text.size() - matched_;
  }
  const Bytes content = input_.first(size);
  input_ = input_.subspan(size + matched_);
  return content;
}

MultipartParser::Step MultipartParser::TakeBoundaryLine(char c) {
  switch (state_) {
    case State::kBehindBoundary:
      if (c == '-') {
        state_ = State::kClosingDash;
        return std::nullopt;
      }
      [[fallthrough]];
    case State::kPadding:
      if (IsOws(c)) {
        state_ = State::kPadding;
      } else if (c == '\r') {
        state_ = State::kBoundaryLf;
      } else {
        break;
      }
      return std::nullopt;
    case State::kClosingDash:
      if (c != '-') break;
      state_ = State::kClosed;
      filler_bytes_ = 0;
      return MultipartEnd{};
    case State::kClosed:
      if (c == '\r') {
        state_ = State::kClosedLf;
      } else if (!IsOws(c)) {
        break;
      }
      return std::nullopt;
    case State::kClosedLf:
      if (c != '\n') break;
      state_ = State::kEpilogue;
      return std::nullopt;
    case State::kBoundaryLf:
      if (c != '\n') break;
      if (parts_ == max_parts_) {
        return Refuse(Errc::kTooLarge, fmt::format("multipart body has more than {} parts", max_parts_));
      }
      ++parts_;
      state_ = State::kHeaders;
      headers_ = PartHeaderReader();
      header_bytes_ = 0;
      return std::nullopt;
    default: break;
  }
  // Some readers take such a line for a boundary and some for content (RFC 2046 5.1.1 can be read either way). No
  // honest sender writes one: a boundary is chosen so that it does not occur in the content.
  return Refuse(Errc::kMalformed, "a line of the multipart body begins with its boundary and goes on with other text");
}

MultipartParser::Step MultipartParser::TakeHeaders() {
  const std::string_view text = AsText(input_);
  const std::size_t line_end = text.find('\n');
  const std::size_t size = line_end == std::string_view::npos ? text.size() : line_end + 1;
  header_bytes_ += size;
  if (header_bytes_ > kMaxPartHeaderBytes) {
    return Refuse(Errc::kTooLarge, fmt::format("part {}: its headers are longer than 8 KiB", parts_));
  }
  line_ += text.substr(0, size);
  input_ = input_.subspan(size);
  if (line_end == std::string_view::npos) return std::nullopt;

  const std::string line = std::move(line_);
  line_.clear();
  if (!line.ends_with("\r\n")) {
    return Refuse(Errc::kMalformed, fmt::format("part {}: a header line ends in a bare LF", parts_));
  }
  if (line.size() > 2) {
    const auto added = headers_.Add(std::string_view(line).substr(0, line.size() - 2));
    if (!added) return Refuse(added.error().code, fmt::format("part {}: {}", parts_, added.error().what));
    return std::nullopt;
  }
  auto headers = headers_.Finish();
  if (!headers) return Refuse(headers.error().code, fmt::format("part {}: {}", parts_, headers.error().what));
  state_ = State::kContent;
  StartAfterLineEnd();
  return PartBegin{*std::move(headers)};
}

MultipartParser::Step MultipartParser::TakeEpilogue() {
  filler_bytes_ += input_.size();
  input_ = {};
  if (filler_bytes_ > kMaxMultipartFiller) {
    return Refuse(Errc::kTooLarge, "multipart body has more than 8 KiB behind its closing boundary");
  }
  return std::nullopt;
}

std::unexpected<Error> MultipartParser::Refuse(Errc code, std::string what) {
  state_ = State::kFailed;
  input_ = {};
  matched_ = 0;
  error_ = {code, std::move(what)};
  return std::unexpected(error_);
}

}  // namespace lazaret::wire
