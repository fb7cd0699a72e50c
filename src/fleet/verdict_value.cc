#include "fleet/verdict_value.h"

#include <fmt/format.h>

#include "core/verdict_encoding.h"

namespace lazaret::fleet {
namespace {

constexpr std::size_t kHeaderSize = 44;

std::string HeaderOf(const Verdict& verdict) {
  const EngineInfo& engine = *verdict.record().engine;
  std::string header = "1";
  header += verdict.IsPassing() ? 'p' : 'l';
  header += engine.built_at ? 'd' : 'u';
  header += engine.test_set ? 't' : 'r';
  const auto built_at = engine.built_at ? std::int64_t{engine.built_at->time_since_epoch().count()} : 0;
  const std::uint64_t ordered = static_cast<std::uint64_t>(built_at) ^ (std::uint64_t{1} << 63);
  for (int shift = 56; shift >= 0; shift -= 8) header += static_cast<char>((ordered >> shift) & 0xFF);
  header += AsText(engine.profile.AsSpan());
  return header;
}

std::unexpected<Error> Corrupt(const Digest& content, std::string_view why) {
  return Fail(Errc::kCorrupt,
              fmt::format("the verdict of {} in Redis is not what was written: {}", content.Hex(), why));
}

}  // namespace

std::string VerdictKey(const Digest& content) { return fmt::format("lz:{{{}}}:verdict", content.Hex()); }

Result<std::string> EncodeVerdictValue(const Digest& content, const Verdict& verdict) {
  std::string value = HeaderOf(verdict) + EncodeVerdict(content, verdict);
  if (value.size() > kMaxVerdictBytes) {
    return Fail(Errc::kTooLarge, fmt::format("a verdict of {} bytes is not kept in Redis", value.size()));
  }
  return value;
}

Result<VerdictPtr> DecodeVerdictValue(const Digest& content, Bytes bytes) {
  if (bytes.size() > kMaxVerdictBytes) return Corrupt(content, "it is too large");
  if (bytes.size() < kHeaderSize) return Corrupt(content, "it is cut off");
  if (AsText(bytes.first(1)) != "1") return Corrupt(content, "it is in a format that this Lazaret does not know");
  auto verdict = DecodeVerdict(content, bytes.subspan(kHeaderSize));
  if (verdict && HeaderOf(**verdict) != AsText(bytes.first(kHeaderSize)))
    return Corrupt(content, "its header is wrong");
  return verdict;
}

}  // namespace lazaret::fleet
