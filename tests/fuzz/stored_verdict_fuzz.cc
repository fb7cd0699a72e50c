// A verdict as Redis keeps it: what is decoded is encoded to the same bytes again, header included.
#include <memory>
#include <string>

#include "fleet/verdict_value.h"
#include "fuzz_support.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

void RequireSound(const Digest& content, std::string_view bytes) {
  const auto decoded = fleet::DecodeVerdictValue(content, AsBytes(bytes));
  if (!decoded) {
    Require(decoded.error().code == Errc::kCorrupt, "what is no verdict is corrupt");
    return;
  }
  const auto again = fleet::EncodeVerdictValue(content, **decoded);
  Require(again && *again == bytes, "no verdict has two spellings");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHeader = 44;
  const Digest content = Sha256::Of(AsBytes("content"));
  const std::string bytes(Text(data, size));
  RequireSound(content, bytes);
  if (bytes.size() <= kHeader) return 0;
  // With a right check, or no input would ever get as far as the fields.
  const Bytes fields = AsBytes(bytes).subspan(kHeader);
  Sha256 hasher;
  hasher.Update(fields.first(1));
  hasher.Update(content.AsSpan());
  hasher.Update(fields.subspan(1));
  RequireSound(content, bytes + std::string(AsText(hasher.Finish().AsSpan().first(8))));
  return 0;
}
