// The first byte chooses how the rest is cut into pieces. The rest is a body whose first line names its boundary, or
// has the boundary "b": the parts are the same for every cut.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fuzz_support.h"
#include "wire/multipart.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

constexpr std::size_t kMaxParts = 8;

struct Part {
  wire::PartHeaders headers;
  std::string content;
  bool ended = false;
  friend bool operator==(const Part&, const Part&) = default;
};

struct Parsed {
  std::vector<Part> parts;
  bool ended = false;
  std::optional<Error> error;
  friend bool operator==(const Parsed&, const Parsed&) = default;
};

std::string BoundaryOf(std::string_view body) {
  if (!body.starts_with("--")) return "b";
  const std::string_view line = body.substr(2, body.find('\r') - 2);
  const auto boundary = wire::ParseBoundary("multipart/form-data; boundary=\"" + std::string(line) + '"');
  return boundary ? *boundary : "b";
}

void Take(const wire::MultipartEvent& event, Parsed& out) {
  Require(!out.ended, "nothing follows the end");
  const bool open = !out.parts.empty() && !out.parts.back().ended;
  if (const auto* begin = std::get_if<wire::PartBegin>(&event)) {
    Require(!open, "a part begins behind the last one");
    out.parts.push_back({*begin, "", false});
  } else if (const auto* data = std::get_if<wire::PartData>(&event)) {
    Require(open && !data->bytes.empty(), "content belongs to a part");
    out.parts.back().content += AsText(data->bytes);
  } else if (std::holds_alternative<wire::PartEnd>(event)) {
    Require(open, "a part ends once");
    out.parts.back().ended = true;
  } else {
    Require(!open, "the last part has ended");
    out.ended = true;
  }
}

template <class TakePiece>
Parsed Parse(std::string_view body, const std::string& boundary, TakePiece take) {
  wire::MultipartParser parser(boundary, kMaxParts);
  Parsed out;
  while (!body.empty()) {
    const std::string_view piece = take(body);
    const std::vector<char> copy(piece.begin(), piece.end());  // the address sanitizer sees late looks at it
    parser.Feed(std::as_bytes(std::span(copy)));
    for (;;) {
      const auto event = parser.Next();
      if (!event) {
        out.error = event.error();
        return out;
      }
      if (!*event) break;
      Take(**event, out);
    }
  }
  if (const auto finished = parser.Finish(); !finished) out.error = finished.error();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body = Text(data + 1, size - 1);
  const std::string boundary = BoundaryOf(body);
  const Parsed whole = Parse(body, boundary, [](std::string_view& rest) { return std::exchange(rest, {}); });
  Cutter cutter(data[0]);
  const Parsed cut = Parse(body, boundary, [&](std::string_view& rest) { return cutter.Take(rest); });
  Require(cut == whole, "cuts change nothing");
  Require(whole.parts.size() <= kMaxParts, "the number of parts is bounded");
  Require(whole.error || whole.ended, "a body without an error has an end");
  for (const Part& part : whole.parts) {
    Require(part.content.find("\r\n--" + boundary) == std::string::npos, "no content holds a boundary");
    Require(body.find(part.content) != std::string_view::npos, "content is a part of the body");
  }
  return 0;
}
