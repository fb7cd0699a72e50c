// A head is found at the same place however its bytes arrive, and what is understood of it is the same after it has
// been written anew: nothing hides in a head that passes.
#include <string>

#include "fuzz_support.h"
#include "wire/http_head.h"
#include "wire/http_text.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

std::string Write(const wire::RequestHead& head) {
  std::string out(head.method);
  out.append(" ").append(head.path).append(head.query.empty() ? "" : "?").append(head.query);
  out.append(head.minor_version == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  for (const wire::HeaderField& field : head.fields) out.append(field.name).append(": ").append(field.value) += "\r\n";
  return out + "\r\n";
}

void CheckFields(const wire::RequestHead& head) {
  Require(head.fields.size() <= wire::kMaxHeaderFields, "the number of fields is bounded");
  for (const wire::HeaderField& field : head.fields) {
    Require(wire::IsToken(field.name), "names are tokens");
    Require(!wire::HasControl(field.value), "values hold no control bytes");
    Require(head.Count(field.name) >= 1 && head.Find(field.name).has_value(), "fields are found");
  }
  Require(head.Count("host") <= 1, "there is at most one Host");
  const std::size_t lengths = head.Count("content-length");
  const std::size_t codings = head.Count("transfer-encoding");
  Require(lengths + codings <= 1, "there is at most one framing");
  Require((head.body == wire::BodyFraming::kLength) == (lengths == 1), "Content-Length frames the body");
  Require((head.body == wire::BodyFraming::kChunked) == (codings == 1), "Transfer-Encoding frames the body");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = Text(data, size);
  const auto end = wire::FindHeadEnd(text, 0);
  Result<std::optional<std::size_t>> stepwise = std::nullopt;
  for (std::size_t seen = 0; seen < size && stepwise && !*stepwise; ++seen) {
    stepwise = wire::FindHeadEnd(text.substr(0, seen + 1), seen);
  }
  Require(end == stepwise, "the end does not depend on how the bytes arrive");

  const auto head = wire::ParseRequestHead(end && *end ? text.substr(0, **end) : text);
  if (!head) {
    Require(!head.error().what.empty(), "errors say what is wrong");
    return 0;
  }
  Require(end && *end, "a head that passes has an end");
  CheckFields(*head);
  const std::string written = Write(*head);
  const auto again = wire::ParseRequestHead(written);
  Require(again.has_value() && Write(*again) == written, "a head that passes can be written anew");
  Require(again->body == head->body && again->content_length == head->content_length, "with the same framing");
  Require(again->keep_alive == head->keep_alive && again->expectation == head->expectation, "and the same wishes");
  return 0;
}
