// A digest that is read can be written and read again, and a field sent in two lines means the last one.
#include <optional>
#include <string>

#include "fuzz_support.h"
#include "wire/digest_field.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

// Empty for a value that is refused or has no digest.
std::optional<Digest> Read(const std::string& value) { return wire::ParseReprDigest(value).value_or(std::nullopt); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string value(Text(data, size));
  const auto digest = wire::ParseReprDigest(value);
  if (!digest) {
    Require(digest.error().code == Errc::kMalformed && !digest.error().what.empty(), "errors say what is wrong");
    return 0;
  }
  const Digest other = Sha256::Of(AsBytes(value));
  if (value.find_first_not_of(' ') != std::string::npos) {
    Require(Read(value + ", " + wire::FormatReprDigest(other)) == other, "the last one counts");
    if (*digest) Require(Read(value + ", " + value) == *digest, "twice the same is the same");
  }
  if (*digest) Require(Read(wire::FormatReprDigest(**digest)) == *digest, "a digest round-trips");
  return 0;
}
