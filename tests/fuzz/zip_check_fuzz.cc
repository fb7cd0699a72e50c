// Whatever the bytes are, what is listed lies within them, and an archive in front of which something stands lists the
// same members.
#include "scanner/zip_check.h"

#include <string>

#include "fuzz_support.h"

using namespace lazaret;
using namespace lazaret::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view content = Text(data, size);
  const auto listing = scanner::ReadZip(content);
  constexpr std::size_t kLeastEntry = 46 + 30;
  Require(listing.members.size() <= size / 46, "a member has a central header");
  for (const auto& member : listing.members) Require(member.size > 5, "small members are not listed");
  if (!listing.members.empty()) Require(size >= kLeastEntry, "a member has two headers");
  const auto moved = scanner::ReadZip("front" + std::string(content));
  Require(moved.members == listing.members || !listing.faults.empty(), "a sound archive can be moved");
  if (const auto appended = scanner::ReadAppendedZip(content)) {
    Require(appended->members == listing.members, "an archive is read in one way");
  }
  return 0;
}
