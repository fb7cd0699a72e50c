// A verdict that is decoded is encoded to the same bytes again; bytes with a wrong check are none.
#include <memory>
#include <span>
#include <string>

#include "core/verdict_encoding.h"
#include "fuzz_support.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

void RequireSound(const Digest& content, std::string_view bytes) {
  const auto decoded = DecodeVerdict(content, AsBytes(bytes));
  if (!decoded) {
    Require(decoded.error().code == Errc::kCorrupt, "what is no verdict is corrupt");
    return;
  }
  const Verdict& verdict = **decoded;
  Require(EncodeVerdict(content, verdict) == bytes, "no verdict has two spellings");
  Require(verdict.kind() == VerdictKind::kUnscannable || verdict.reason() == Reason::kNone,
          "only what is unscannable has a reason");
  Require(verdict.kind() != VerdictKind::kClean || verdict.signatures().empty(), "clean has no signatures");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Digest content = Sha256::Of(AsBytes("content"));
  const std::string fields(Text(data, size));
  RequireSound(content, fields);
  if (fields.empty()) return 0;
  // With a right check, or no input would ever get as far as the fields.
  Sha256 hasher;
  hasher.Update(AsBytes(fields).first(1));
  hasher.Update(content.AsSpan());
  hasher.Update(AsBytes(fields).subspan(1));
  RequireSound(content, fields + std::string(AsText(hasher.Finish().AsSpan().first(8))));
  return 0;
}
