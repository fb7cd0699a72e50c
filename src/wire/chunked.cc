#include "wire/chunked.h"

#include <algorithm>
#include <limits>
#include <string>

#include "wire/http_text.h"

namespace lazaret::wire {
namespace {

constexpr std::size_t kMaxSizeDigits = 16;
constexpr std::uint64_t kMaxChunk = std::numeric_limits<std::int64_t>::max();

}  // namespace

Result<ChunkedDecoder::Step> ChunkedDecoder::Feed(Bytes input) {
  Step step;
  while (state_ != State::kDone && state_ != State::kFailed && step.consumed < input.size()) {
    if (state_ == State::kData) {
      const std::uint64_t available = input.size() - step.consumed;
      const auto size = static_cast<std::size_t>(std::min(remaining_, available));
      step.data = input.subspan(step.consumed, size);
      step.consumed += size;
      remaining_ -= size;
      if (remaining_ == 0) state_ = State::kDataCr;
      return step;
    }
    Take(static_cast<char>(input[step.consumed]));
    ++step.consumed;
  }
  if (state_ == State::kFailed) return Fail(code_, std::string(defect_));
  step.done = state_ == State::kDone;
  return step;
}

void ChunkedDecoder::Take(char c) {
  switch (state_) {
    case State::kSizeFirst:
    case State::kSize:
    case State::kExtensionSpace:
    case State::kExtension: return TakeSize(c);
    case State::kSizeLf:
      if (c != '\n') return Refuse(Errc::kMalformed, "chunk size line ends in a bare CR");
      state_ = remaining_ > 0 ? State::kData : State::kTrailerStart;
      return;
    case State::kDataCr:
      if (c != '\r') return Refuse(Errc::kMalformed, "chunk is longer than its size");
      state_ = State::kDataLf;
      return;
    case State::kDataLf:
      if (c != '\n') return Refuse(Errc::kMalformed, "chunk ends in a bare CR");
      state_ = State::kSizeFirst;
      return;
    case State::kTrailerStart:
    case State::kTrailerName:
    case State::kTrailerValue:
    case State::kTrailerLf: return TakeTrailer(c);
    case State::kEndLf:
      if (c != '\n') return Refuse(Errc::kMalformed, "chunked body ends in a bare CR");
      state_ = State::kDone;
      return;
    case State::kData:
    case State::kDone:
    case State::kFailed: return;
  }
}

void ChunkedDecoder::TakeSize(char c) {
  if (state_ == State::kSizeFirst || state_ == State::kSize) {
    if (const int digit = HexValue(c); digit >= 0) {
      if (state_ == State::kSizeFirst) {
        state_ = State::kSize;
        remaining_ = digits_ = extension_bytes_ = 0;
      }
      if (++digits_ > kMaxSizeDigits) return Refuse(Errc::kMalformed, "chunk size has more than 16 digits");
      if (remaining_ > kMaxChunk >> 4) return Refuse(Errc::kMalformed, "chunk size is beyond every bound");
      remaining_ = remaining_ << 4 | static_cast<std::uint64_t>(digit);
      return;
    }
    if (state_ == State::kSizeFirst) return Refuse(Errc::kMalformed, "chunk size is missing");
    if (c != '\r' && c != ';' && !IsOws(c) && c != '\n') {
      return Refuse(Errc::kMalformed, "chunk size is not a hexadecimal number");
    }
  }
  if (c == '\n') return Refuse(Errc::kMalformed, "chunk size line ends in a bare LF");
  if (c == '\r') {
    if (state_ == State::kExtensionSpace) return Refuse(Errc::kMalformed, "whitespace follows the chunk size");
    state_ = State::kSizeLf;
    return;
  }
  if (++extension_bytes_ > kMaxChunkExtensionBytes) {
    return Refuse(Errc::kTooLarge, "chunk extension is longer than 256 bytes");
  }
  if (IsControl(c)) return Refuse(Errc::kMalformed, "chunk extension holds a control byte");
  if (state_ == State::kExtension || c == ';') {
    state_ = State::kExtension;
  } else if (IsOws(c)) {
    state_ = State::kExtensionSpace;
  } else {
    Refuse(Errc::kMalformed, "whitespace follows the chunk size");
  }
}

void ChunkedDecoder::TakeTrailer(char c) {
  if (state_ == State::kTrailerLf) {
    if (c != '\n') return Refuse(Errc::kMalformed, "trailer line ends in a bare CR");
    state_ = State::kTrailerStart;
    return;
  }
  if (c == '\n') return Refuse(Errc::kMalformed, "trailer line ends in a bare LF");
  if (c == '\r' && state_ == State::kTrailerStart) {
    state_ = State::kEndLf;
    return;
  }
  if (++trailer_bytes_ > kMaxTrailerBytes) return Refuse(Errc::kTooLarge, "trailer is longer than 8 KiB");
  if (state_ == State::kTrailerValue) {
    if (c == '\r') {
      state_ = State::kTrailerLf;
    } else if (IsControl(c)) {
      Refuse(Errc::kMalformed, "trailer holds a control byte");
    }
  } else if (IsTokenChar(c)) {
    state_ = State::kTrailerName;
  } else if (c == ':' && state_ == State::kTrailerName) {
    state_ = State::kTrailerValue;
  } else {
    Refuse(Errc::kMalformed, "trailer line is not a field");
  }
}

void ChunkedDecoder::Refuse(Errc code, std::string_view defect) {
  state_ = State::kFailed;
  code_ = code;
  defect_ = defect;
}

}  // namespace lazaret::wire
