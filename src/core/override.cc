#include "core/override.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/byte_fields.h"
#include "core/engine_encoding.h"

namespace lazaret {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kCheckSize = 8;
constexpr std::size_t kMaxBy = 512;

bool IsControl(unsigned char c) { return c < ' ' || c == 0x7F; }

bool MayStandInAName(char c) {
  const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return is_letter || (c >= '0' && c <= '9') || std::string_view("._-+/").contains(c);
}

Bytes First(const Digest& digest) { return digest.AsSpan().first(kCheckSize); }

std::unexpected<Error> Corrupt(std::string_view why) {
  return Fail(Errc::kCorrupt, fmt::format("a stored override is not what was written: {}", why));
}

}  // namespace

Result<void> CheckOverride(const Override& entry) {
  if (entry.kind != VerdictKind::kClean && entry.kind != VerdictKind::kInfected) {
    return Fail(Errc::kMalformed, "the verdict of an override is clean or infected");
  }
  if (entry.reason.empty() || entry.reason.size() > kMaxOverrideReason ||
      std::ranges::any_of(entry.reason, IsControl)) {
    return Fail(Errc::kMalformed,
                fmt::format("the reason has 1 to {} bytes without control characters", kMaxOverrideReason));
  }
  const std::string& name = entry.signature;
  if (entry.kind == VerdictKind::kClean && !name.empty()) {
    return Fail(Errc::kMalformed, "only what is infected has a signature");
  }
  const bool is_name =
      !name.empty() && name.size() <= kMaxOverrideSignature && std::ranges::all_of(name, MayStandInAName);
  if (entry.kind == VerdictKind::kInfected && !is_name) {
    return Fail(Errc::kMalformed,
                fmt::format("the signature has 1 to {} letters, digits and . _ - + /", kMaxOverrideSignature));
  }
  if (entry.by.size() > kMaxBy) return Fail(Errc::kMalformed, "the name of who overrides is too long");
  return {};
}

std::string EncodeOverride(const Override& entry) {
  FieldWriter out;
  out.Number(kVersion);
  out.Raw(entry.id.AsSpan());
  out.Number(static_cast<std::uint8_t>(entry.kind));
  out.Text(entry.signature);
  out.Text(entry.reason);
  out.Text(entry.by);
  out.Number(std::int64_t{entry.since.time_since_epoch().count()});
  out.Number(static_cast<std::uint8_t>(entry.until ? 1 : 0));
  if (entry.until) out.Number(std::int64_t{entry.until->time_since_epoch().count()});
  out.Raw(First(Sha256::Of(AsBytes(out.bytes()))));
  return out.Take();
}

Result<Override> DecodeOverride(Bytes bytes) {
  if (bytes.size() <= kCheckSize) return Corrupt("it is cut off");
  const Bytes checked = bytes.first(bytes.size() - kCheckSize);
  if (!std::ranges::equal(bytes.last(kCheckSize), First(Sha256::Of(checked)))) {
    return Corrupt("its check does not match");
  }
  FieldReader in(checked);
  if (const auto version = in.Number<std::uint8_t>(); version != kVersion) {
    return Corrupt(fmt::format("it is in format {}, this Lazaret knows only {}", version, kVersion));
  }
  const auto id = Digest::FromBytes(in.Raw(Digest::kSize));
  if (!id) return Corrupt("its fields cannot be read");
  Override entry{.id = *id,
                 .kind = static_cast<VerdictKind>(in.Number<std::uint8_t>()),
                 .signature = in.Text(),
                 .reason = in.Text(),
                 .by = in.Text(),
                 .since = WallTime(milliseconds(in.Number<std::int64_t>())),
                 .until = std::nullopt};
  const auto ends = ReadFlag(in);
  if (ends.value_or(false)) entry.until = WallTime(milliseconds(in.Number<std::int64_t>()));
  if (!ends || !in.AtEnd()) return Corrupt("its fields cannot be read");
  if (const auto good = CheckOverride(entry); !good) return Corrupt(good.error().what);
  return entry;
}

}  // namespace lazaret
