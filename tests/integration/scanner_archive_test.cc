// What a scanner says about archives of which libclamav leaves something out.
#include <string>

#include "integration/archives.h"
#include "integration/scanner_fixture.h"

namespace lazaret::tests {
namespace {

using wire::OutcomeReason;

class ScannerArchive : public ScannerTest {};

std::string FromHex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

// "plain text" packed by xz(1) with the dictionary size 1 GiB, or whatever the byte `dictionary` and the header's
// checksum say.
std::string MakeXz(std::string_view dictionary = "24", std::string_view checksum = "5e1fc7f9") {
  return FromHex("fd377a585a0000016922de3602002101" + std::string(dictionary) + "000000" + std::string(checksum) +
                 "01000a706c61696e20746578740a0000223629f700011f0b3d620e7a9042990d010000000001595a");
}

TEST_F(ScannerArchive, CallsALargeXzDictionaryALimit) {
  request_.memory_bytes = 2ull << 30;
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.Scan(MakeXz()), IsClean());
  EXPECT_THAT(scanner.Scan(MakeXz("28", "e6a011b3")), IsIncomplete(OutcomeReason::kLimitExceeded));
}

TEST_F(ScannerArchive, OutlivesAFailedAllocation) {
  request_.memory_bytes = 128 << 20;
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.Scan(MakeXz()), IsIncomplete(OutcomeReason::kEngineError));
  EXPECT_THAT(scanner.Scan(PlainText(100)), IsClean());
}

}  // namespace
}  // namespace lazaret::tests
