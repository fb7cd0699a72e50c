// What a node says of itself: what is decoded is encoded to the same bytes again.
#include <string>

#include "fleet/node_record.h"
#include "fuzz_support.h"

using namespace lazaret;
using namespace lazaret::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = Text(data, size);
  const auto decoded = fleet::DecodeNodeRecord(AsBytes(bytes));
  if (!decoded) {
    Require(decoded.error().code == Errc::kCorrupt, "what is no record is corrupt");
    return 0;
  }
  Require(fleet::EncodeNodeRecord(*decoded) == bytes, "no record has two spellings");
  Require(decoded->engine == nullptr || decoded->engine->databases.size() <= fleet::kMaxNodeDatabases, "bounded");
  return 0;
}
