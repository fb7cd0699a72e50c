// What a decoder takes, Encode writes again with the same bytes: no message has two spellings.
#include <algorithm>
#include <span>
#include <variant>

#include "base/seqpacket.h"
#include "fuzz_support.h"
#include "wire/scanner_protocol.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

void RequireSame(Bytes message, const std::vector<std::byte>& encoded) {
  Require(std::ranges::equal(message, encoded), "a message is encoded to the bytes that it was decoded from");
  Require(encoded.size() <= kMaxPacketBytes, "a message fits a datagram");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes message = std::as_bytes(std::span(data, size));
  const auto encode = [&](const auto& decoded) { RequireSame(message, wire::Encode(decoded)); };
  int takers = 0;
  if (const auto decoded = wire::DecodeToZygote(message)) ++takers, std::visit(encode, *decoded);
  if (const auto decoded = wire::DecodeFromZygote(message)) ++takers, std::visit(encode, *decoded);
  if (const auto decoded = wire::DecodeScanRequest(message)) ++takers, encode(*decoded);
  if (const auto decoded = wire::DecodeOutcome(message)) {
    ++takers, encode(*decoded);
    const bool clean = decoded->kind == wire::OutcomeKind::kClean;
    Require(!clean || (decoded->signatures.empty() && decoded->reason == wire::OutcomeReason::kNone),
            "clean has neither names nor a reason");
  }
  Require(takers <= 1, "a message has one reader");
  return 0;
}
