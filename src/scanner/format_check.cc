#include "scanner/format_check.h"

#include <algorithm>
#include <bit>
#include <string>

#include "scanner/little_endian.h"

namespace lazaret::scanner {
namespace {

using namespace std::string_view_literals;
using wire::OutcomeReason;

struct Mark {
  std::string_view start;
  const char* format;
};

constexpr Mark kMarks[] = {
    {"\x28\xB5\x2F\xFD"sv, "Zstandard"},  // RFC 8878
    {"\x04\x22\x4D\x18"sv, "LZ4"},
    {"LZIP\1"sv, "lzip"},
    {"\x89LZO\0\r\n\x1A\n"sv, "lzop"},
    {"!<arch>\ndebian-binary"sv, "Debian package"},  // deb(5)
    {"\xED\xAB\xEE\xDB"sv, "RPM package"},
    {"MSWIM\0\0\0"sv, "Windows image"},
    {"-----BEGIN PGP MESSAGE-----"sv, "OpenPGP message"},  // RFC 9580 6.2
    {"\x85\1\x0C\3"sv, "OpenPGP message"},                 // encrypted to RSA keys of 2048, 4096 bits (5.1)
    {"\x85\2\x0C\3"sv, "OpenPGP message"},
};

bool IsCompress(std::string_view content) {  // compress(1)
  if (content.size() < 4 || !content.starts_with("\x1F\x9D"sv)) return false;
  const unsigned bits = Byte(content, 2) & 0x1F;
  return bits >= 9 && bits <= 16 && (Byte(content, 2) & 0x60) == 0;
}

bool IsSquashFs(std::string_view content) {
  constexpr std::size_t kSuperblock = 96, kMajorVersionAt = 28;
  return content.size() >= kSuperblock && content.starts_with("hsqs") && Little16(content, kMajorVersionAt) == 4;
}

// It has no mark: properties byte, dictionary size, unpacked size (lzma-file-format.txt of XZ Utils).
bool IsLzmaAlone(std::string_view content) {
  constexpr std::size_t kHeader = 13;
  if (content.size() < kHeader + 5 || content[0] != '\x5D' || content[kHeader] != '\0') return false;
  const std::uint32_t dictionary = Little32(content, 1);
  const std::uint64_t size = Little32(content, 5) | std::uint64_t{Little32(content, 9)} << 32;
  const bool usual = std::has_single_bit(dictionary) && dictionary >= 4096;
  return usual && (size == UINT64_MAX || size < (std::uint64_t{1} << 38));
}

// A pax header's records (pax(1), "%d %s=%s\n").
bool HasSizeRecord(std::string_view records) {
  while (!records.empty()) {
    const auto line = records.substr(0, records.find('\n'));
    const auto space = line.find(' ');
    if (space != line.npos && line.substr(space + 1).starts_with("size=")) return true;
    records.remove_prefix(std::min(records.size(), line.size() + 1));
  }
  return false;
}

}  // namespace

std::optional<Incomplete> CheckFormat(std::string_view content) {
  const auto found = [](const char* format) {
    return Incomplete{OutcomeReason::kUnsupported, std::string("format that libclamav does not know: ") + format};
  };
  for (const Mark& mark : kMarks) {
    if (content.starts_with(mark.start)) return found(mark.format);
  }
  if (IsCompress(content)) return found("compress (.Z)");
  if (IsSquashFs(content)) return found("SquashFS");
  if (IsLzmaAlone(content)) return found("LZMA");
  return std::nullopt;
}

std::optional<Incomplete> CheckTar(std::string_view content) {
  constexpr std::size_t kBlock = 512, kSizeAt = 124, kSizeDigits = 12, kTypeAt = 156;
  std::size_t at = 0;
  while (content.size() - at >= kBlock) {
    const std::string_view header = content.substr(at, kBlock);
    if (header[0] == '\0') break;
    if (Byte(header, kSizeAt) >= 0x80) return Incomplete{OutcomeReason::kUnsupported, "tar member with a binary size"};
    std::uint64_t size = 0;
    for (const char c : header.substr(kSizeAt, kSizeDigits)) {
      if (c >= '0' && c <= '7') size = size * 8 + static_cast<unsigned>(c - '0');
    }
    at += kBlock;
    const bool is_pax = header[kTypeAt] == 'x' || header[kTypeAt] == 'g';
    if (is_pax && HasSizeRecord(content.substr(at, size))) {
      return Incomplete{OutcomeReason::kUnsupported, "tar member with a pax size"};
    }
    const std::uint64_t padded = (size + kBlock - 1) / kBlock * kBlock;
    if (padded > content.size() - at) break;
    at += padded;
  }
  return std::nullopt;
}

}  // namespace lazaret::scanner
