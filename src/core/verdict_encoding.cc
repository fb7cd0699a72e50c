#include "core/verdict_encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>
#include <vector>

#include "base/byte_fields.h"
#include "core/engine_encoding.h"

namespace lazaret {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kCheckSize = 8;

// Over the version, the content's digest and the fields, so that they belong together.
std::array<std::byte, kCheckSize> CheckOf(const Digest& content, Bytes version_and_fields) {
  Sha256 hasher;
  hasher.Update(version_and_fields.first(1));
  hasher.Update(content.AsSpan());
  hasher.Update(version_and_fields.subspan(1));
  const Digest hash = hasher.Finish();
  std::array<std::byte, kCheckSize> check;
  std::ranges::copy(hash.AsSpan().first(kCheckSize), check.begin());
  return check;
}

std::unexpected<Error> Corrupt(const Digest& content, std::string_view why) {
  return Fail(Errc::kCorrupt, fmt::format("the stored verdict of {} is not what was written: {}", content.Hex(), why));
}

}  // namespace

std::string EncodeVerdict(const Digest& content, const Verdict& verdict) {
  const ScanRecord& record = verdict.record();
  FieldWriter out;
  out.Number(kVersion);
  out.Number(static_cast<std::uint8_t>(verdict.kind()));
  out.Number(static_cast<std::uint8_t>(verdict.reason()));
  out.Number(static_cast<std::uint32_t>(verdict.signatures().size()));
  for (const std::string& name : verdict.signatures()) out.Text(name);
  out.Text(verdict.detail());
  out.Number(record.size);
  out.Number(std::int64_t{record.scanned_at.time_since_epoch().count()});
  out.Number(std::bit_cast<std::uint64_t>(record.scan_ms));
  WriteEngine(out, *record.engine);
  out.Raw(CheckOf(content, AsBytes(out.bytes())));
  return out.Take();
}

Result<VerdictPtr> DecodeVerdict(const Digest& content, Bytes bytes) {
  if (bytes.size() <= kCheckSize) return Corrupt(content, "it is cut off");
  const Bytes checked = bytes.first(bytes.size() - kCheckSize);
  if (!std::ranges::equal(bytes.last(kCheckSize), CheckOf(content, checked))) {
    return Corrupt(content, "its check does not match");
  }
  FieldReader in(checked);
  if (const auto version = in.Number<std::uint8_t>(); version != kVersion) {
    return Corrupt(content, fmt::format("it is in format {}, this Lazaret knows only {}", version, kVersion));
  }
  const auto kind = static_cast<VerdictKind>(in.Number<std::uint8_t>());
  const auto reason = static_cast<Reason>(in.Number<std::uint8_t>());
  std::vector<std::string> signatures;
  const auto count = in.Number<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) signatures.push_back(in.Text());
  std::string detail = in.Text();
  const auto size = in.Number<std::uint64_t>();
  const WallTime scanned_at(milliseconds(in.Number<std::int64_t>()));
  const auto scan_ms = std::bit_cast<double>(in.Number<std::uint64_t>());
  auto engine = ReadEngine(in);
  if (!engine || !in.AtEnd()) return Corrupt(content, "its fields cannot be read");
  // Restore would drop it.
  if (kind != VerdictKind::kUnscannable && !detail.empty()) return Corrupt(content, "its detail belongs to no reason");
  ScanRecord record{.engine = std::make_shared<const EngineInfo>(*std::move(engine)),
                    .size = size,
                    .scanned_at = scanned_at,
                    .scan_ms = scan_ms};
  auto verdict = Verdict::Restore(std::move(record), kind, reason, std::move(signatures), std::move(detail));
  if (!verdict) return Corrupt(content, verdict.error().what);
  return std::make_shared<const Verdict>(*std::move(verdict));
}

}  // namespace lazaret
