// Parameters that are read can be written, with every byte escaped, and read again.
#include <string>

#include <fmt/format.h>

#include "fuzz_support.h"
#include "wire/query.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

void Escape(std::string_view text, std::string& out) {
  for (const char c : text) fmt::format_to(std::back_inserter(out), "%{:02x}", static_cast<unsigned char>(c));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto query = wire::Query::Parse(Text(data, size));
  if (!query) return 0;
  Require(query->parameters().size() <= wire::kMaxQueryParameters, "the number of parameters is bounded");
  std::string written;
  for (const auto& parameter : query->parameters()) {
    Escape(parameter.name, written);
    written += '=';
    Escape(parameter.value, written);
    written += '&';
    const auto found = query->Find(parameter.name);
    Require(!found || *found == parameter.value, "a parameter is found unless it is given twice");
  }
  const auto again = wire::Query::Parse(written);
  Require(again && again->parameters() == query->parameters(), "parameters round-trip");
  return 0;
}
