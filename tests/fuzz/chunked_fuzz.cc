// The first byte chooses how the rest, a chunked body, is cut into pieces: the content is the same for every cut.
#include <optional>
#include <string>
#include <utility>

#include "fuzz_support.h"
#include "wire/chunked.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

struct Decoded {
  std::string content;
  std::size_t left = 0;  // bytes behind the body
  bool done = false;
  std::optional<Error> error;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

template <class Take>
Decoded Decode(std::string_view body, Take take) {
  wire::ChunkedDecoder decoder;
  Decoded out;
  while (!body.empty() && !out.done) {
    Bytes piece = AsBytes(take(body));
    while (!piece.empty() && !out.done) {
      const auto step = decoder.Feed(piece);
      if (!step) {
        out.error = step.error();
        return out;
      }
      Require(step->consumed > 0 || step->done, "each step makes progress");
      out.content += AsText(step->data);
      out.done = step->done;
      piece = piece.subspan(step->consumed);
    }
    if (out.done) out.left = piece.size() + body.size();
  }
  return out;
}

std::string_view TakeAll(std::string_view& rest) { return std::exchange(rest, {}); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body = Text(data + 1, size - 1);
  const Decoded whole = Decode(body, TakeAll);
  Cutter cutter(data[0]);
  Require(Decode(body, [&](std::string_view& rest) { return cutter.Take(rest); }) == whole, "cuts change nothing");
  Require(Decode(body,
                 [](std::string_view& rest) {
                   const std::string_view piece = rest.substr(0, 1);
                   rest.remove_prefix(1);
                   return piece;
                 }) == whole,
          "byte by byte is the same");
  if (!whole.done) return 0;
  Require(whole.left <= body.size(), "what follows is part of the input");
  Require(!Decode(body.substr(0, body.size() - whole.left - 1), TakeAll).done, "the last byte is needed");
  return 0;
}
