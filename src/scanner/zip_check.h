#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "scanner/layer_check.h"

namespace lazaret::scanner {

// The unpacked content of a ZIP member, as the archive's directory describes it.
struct ZipMember {
  std::uint32_t size;
  std::uint32_t crc;  // of zlib's crc32()
  friend auto operator<=>(const ZipMember&, const ZipMember&) = default;
};

struct ZipListing {
  // What must come out of the archive: one for each member that libclamav opens when nothing is wrong. Without members
  // of up to 5 bytes, which it never opens, and without those of which `faults` tells.
  std::vector<ZipMember> members;
  // Why the listing is not all that another program may find in the archive; one for each reason at most.
  std::vector<Incomplete> faults;
};

// Reads the directory of a ZIP file (APPNOTE.TXT 6.3): the last end record, the central headers, and the local headers
// that they point to. Nothing is unpacked. `content` may be anything; work and memory are linear in its size, with at
// most kMaxZipMembers members.
//
// Something in front of the archive is accepted, as other programs do: the directory ends where the end record starts,
// and offsets count from where that makes them fit.
ZipListing ReadZip(std::string_view content);

// As ReadZip for a content that is something else but may have a ZIP file at its end, such as a self-extracting
// program. Empty when there is no directory that makes sense.
std::optional<ZipListing> ReadAppendedZip(std::string_view content);

inline constexpr std::size_t kMaxZipMembers = 1'000'000;

}  // namespace lazaret::scanner
