#include "scanner/layer_check.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "scanner/encryption_check.h"
#include "scanner/format_check.h"
#include "scanner/little_endian.h"

namespace lazaret::scanner {
namespace {

using namespace std::string_view_literals;
using wire::OutcomeReason;

constexpr auto kLocalHeader = "PK\x03\x04"sv;  // APPNOTE.TXT 4.3.7
constexpr auto kRarMark = "Rar!\x1A\x07"sv;

bool IsUnknownZipMethod(unsigned method) {
  constexpr std::array kNamedButUnknown = {1u,  2u,  3u,  4u,  5u,  7u,  10u, 14u, 16u,
                                           18u, 19u, 20u, 93u, 94u, 95u, 96u, 97u, 98u};
  return std::ranges::find(kNamedButUnknown, method) != kNamedButUnknown.end();
}

// A member's local header (APPNOTE.TXT 4.3.7).
struct LocalHeader {
  unsigned version, flags, method, name_length, extra_length;
  std::uint64_t packed_size;

  static constexpr std::size_t kSize = 30;
  static constexpr unsigned kEncrypted = 1u << 0, kMasked = 1u << 13;

  static LocalHeader At(std::string_view content, std::size_t at) {
    return {.version = Little16(content, at + 4) & 0xFF,
            .flags = Little16(content, at + 6),
            .method = Little16(content, at + 8),
            .name_length = Little16(content, at + 26),
            .extra_length = Little16(content, at + 28),
            .packed_size = Little16(content, at + 18) | std::uint64_t{Little16(content, at + 20)} << 16};
  }
  bool IsOfAKnownVersion() const { return version <= 63; }
  bool FitsInto(std::size_t room) const {
    return name_length > 0 && kSize + name_length + extra_length + packed_size <= room;
  }
};

enum class Expect { kArchive, kChanceBytes };

std::optional<Incomplete> CheckZip(std::string_view content, Expect expect) {
  for (auto at = content.find(kLocalHeader); at != content.npos; at = content.find(kLocalHeader, at + 4)) {
    if (content.size() - at < LocalHeader::kSize) break;
    const LocalHeader header = LocalHeader::At(content, at);
    if (!header.IsOfAKnownVersion()) continue;
    if (expect == Expect::kChanceBytes && !header.FitsInto(content.size() - at)) continue;
    if ((header.flags & LocalHeader::kMasked) != 0) {
      return Incomplete{OutcomeReason::kEncrypted, "ZIP member with a hidden header"};
    }
    // Encrypted members are told by libclamav.
    if ((header.flags & LocalHeader::kEncrypted) == 0 && IsUnknownZipMethod(header.method)) {
      return Incomplete{OutcomeReason::kUnsupported, "ZIP member packed with method " + std::to_string(header.method)};
    }
  }
  return std::nullopt;
}

// The mark alone is in every program that knows RAR; a first block that makes sense must follow.
bool HoldsRar(std::string_view content) {
  for (auto at = content.find(kRarMark); at != content.npos; at = content.find(kRarMark, at + 1)) {
    const std::string_view rest = content.substr(at + kRarMark.size());
    if (rest.size() >= 8 && rest[0] == '\0') {
      constexpr unsigned kMainHeader = 0x73;
      if (Byte(rest, 3) == kMainHeader && Little16(rest, 6) >= 13) return true;
    }
    if (rest.size() >= 8 && rest[0] == '\1' && rest[1] == '\0') {
      constexpr unsigned kMain = 1, kEncryption = 4;
      const unsigned type = Byte(rest, 7);
      if (Byte(rest, 6) < 0x80 && (type == kMain || type == kEncryption)) return true;
    }
  }
  return false;
}

bool IsProgram(std::string_view type) {
  return type == "CL_TYPE_MSEXE" || type == "CL_TYPE_ELF" || type.starts_with("CL_TYPE_MACHO");
}

}  // namespace

bool IsZip(const Layer& layer) {
  if (layer.type == "CL_TYPE_ZIP" || layer.type.starts_with("CL_TYPE_OOXML_")) return true;
  return layer.content && AsText(*layer.content).starts_with(kLocalHeader);
}

std::vector<Incomplete> CheckLayer(const Layer& layer, bool has_rar) {
  std::vector<Incomplete> out;
  const std::string_view content = AsText(layer.content.value_or(Bytes{}));
  const bool is_zip = IsZip(layer) || layer.type == "CL_TYPE_ZIPSFX";
  if (is_zip || IsProgram(layer.type)) {
    const auto expect = is_zip ? Expect::kArchive : Expect::kChanceBytes;
    if (auto found = CheckZip(content, expect)) out.push_back(*std::move(found));
  }
  if (auto found = CheckEncryption(layer)) out.push_back(*std::move(found));
  if (auto found = CheckFormat(content)) out.push_back(*std::move(found));
  if (layer.type == "CL_TYPE_POSIX_TAR" || layer.type == "CL_TYPE_OLD_TAR") {
    if (auto found = CheckTar(content)) out.push_back(*std::move(found));
  }
  if (!has_rar) {
    if (layer.type.starts_with("CL_TYPE_RAR")) {
      out.push_back({OutcomeReason::kUnsupported, "RAR archive: UnRAR is not installed"});
    } else if (IsProgram(layer.type) && HoldsRar(content)) {
      out.push_back({OutcomeReason::kUnsupported, "program with a RAR archive: UnRAR is not installed"});
    }
  }
  return out;
}

bool IsOpaqueWithoutLayers(std::string_view type) {
  return type == "CL_TYPE_7Z" || type == "CL_TYPE_EGG" || type == "CL_TYPE_ALZ" || type == "CL_TYPE_LHA_LZH" ||
         type == "CL_TYPE_ARJ";
}

}  // namespace lazaret::scanner
