// An override as stores keep it: what is decoded is encoded to the same bytes again, and is one that may be.
#include <array>
#include <string>

#include "core/override.h"
#include "fuzz_support.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

void Check(std::string_view bytes) {
  const auto decoded = DecodeOverride(AsBytes(bytes));
  if (!decoded) {
    Require(decoded.error().code == Errc::kCorrupt, "what is no override is corrupt");
    return;
  }
  Require(EncodeOverride(*decoded) == bytes, "no override has two spellings");
  Require(CheckOverride(*decoded).has_value(), "it is one that may be");
  Require(decoded->kind == VerdictKind::kClean || !decoded->signature.empty(), "what is denied has a name");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = Text(data, size);
  Check(bytes);
  // With the check that belongs to it, as nothing else would get past that.
  std::string repaired(bytes);
  repaired += AsText(Sha256::Of(AsBytes(bytes)).AsSpan().first(8));
  Check(repaired);
  return 0;
}
