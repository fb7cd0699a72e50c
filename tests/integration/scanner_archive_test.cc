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

ZipMember Deflated(std::string name, std::string data) {
  return {.name = std::move(name), .data = std::move(data), .deflate = true};
}

std::string Head(const std::string& zip) { return zip.substr(0, zip.find("PK\x01\x02")); }

TEST_F(ScannerArchive, SeesADamagedZipMember) {
  const Scanner scanner = OneScanner();
  std::string zip = MakeZip({Deflated("a.txt", PlainText(20'000)), Deflated("b.txt", PlainText(1'000))});
  EXPECT_THAT(scanner.Scan(zip), IsClean());
  zip[200] = static_cast<char>(zip[200] ^ 0x55);
  EXPECT_THAT(scanner.Scan(zip), IsIncomplete(OutcomeReason::kUnsupported));
  EXPECT_THAT(scanner.Scan(MakeZip({{.name = "inner.zip", .data = zip}})), IsIncomplete(OutcomeReason::kUnsupported));
  EXPECT_THAT(scanner.Scan(MakeTar({{"inner.zip", zip}})), IsIncomplete(OutcomeReason::kUnsupported));
}

TEST_F(ScannerArchive, SeesAZipThatWasCutOff) {
  const Scanner scanner = OneScanner();
  const std::string zip = MakeZip({Deflated("a.txt", PlainText(20'000)), Deflated("b.txt", PlainText(1'000))});
  for (const std::size_t size : {zip.size() - 1, zip.size() - 30, Head(zip).size(), zip.size() / 2}) {
    EXPECT_THAT(scanner.Scan(zip.substr(0, size)), IsIncomplete(OutcomeReason::kUnsupported)) << size;
  }
}

TEST_F(ScannerArchive, SeesAZipMemberThatIsNotListed) {
  const std::string zip = MakeZip({Deflated("a.txt", PlainText(2'000))});
  const std::string hidden = Head(MakeZip({Deflated("b.txt", std::string(kMarker) + PlainText(2'000))}));
  const std::string head = Head(zip);
  std::string tail = zip.substr(head.size());
  const std::size_t start = head.size() + hidden.size();
  for (int i = 0; i < 4; ++i) tail[tail.size() - 6 + i] = static_cast<char>(start >> (8 * i));
  EXPECT_THAT(OneScanner().Scan(head + hidden + tail), IsIncomplete(OutcomeReason::kUnsupported));
}

TEST_F(ScannerArchive, SeesAMethodWithoutAName) {
  const Scanner scanner = OneScanner();
  for (const std::uint16_t method : {11, 13, 17, 99, 255}) {
    ZipMember member = Deflated("a.txt", PlainText(100));
    member.method = method;
    EXPECT_THAT(scanner.Scan(MakeZip({member})), IsIncomplete(OutcomeReason::kUnsupported)) << method;
  }
}

TEST_F(ScannerArchive, OpensZipsBehindSomethingElse) {
  const Scanner scanner = OneScanner();
  const std::string front = "#!/bin/sh\nexec java -jar $0\n";
  std::string zip = MakeZip({Deflated("a.txt", PlainText(20'000))});
  EXPECT_THAT(scanner.Scan(front + zip), IsClean());
  EXPECT_THAT(scanner.Scan(front + MakeZip({Deflated("a", std::string(kMarker))})),
              IsInfectedWith("Test.Marker.UNOFFICIAL"));
  zip[200] = static_cast<char>(zip[200] ^ 0x55);
  EXPECT_THAT(scanner.Scan(front + zip), IsIncomplete(OutcomeReason::kUnsupported));
}

TEST_F(ScannerArchive, NeverOpensTinyMembers) {
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.Scan(MakeZip({Deflated("five", "12345"), Deflated("six", "123456"), Deflated("none", "")})),
              IsClean());
}

// "text" packed by bzip2(1).
std::string MakeBzip2() {
  return FromHex(
      "425a683931415926535966913cd00000065180001040002227cc4020003100d0014c01905eeade80049d5de17724538509066913cd00");
}

TEST_F(ScannerArchive, SeesWhatBzip2HidesBehindItsFirstStream) {
  const Scanner scanner = OneScanner();
  const std::string stream = MakeBzip2();
  EXPECT_THAT(scanner.Scan(stream), IsClean());
  EXPECT_THAT(scanner.Scan(stream + stream), IsIncomplete(OutcomeReason::kUnsupported));
  EXPECT_THAT(scanner.Scan(stream.substr(0, stream.size() - 1)), IsIncomplete(OutcomeReason::kUnsupported));
  EXPECT_THAT(scanner.Scan(MakeTar({{"a.bz2", stream + stream}})), IsIncomplete(OutcomeReason::kUnsupported));
}

TEST_F(ScannerArchive, NamesFormatsThatAreNotKnown) {
  const std::string zstandard = FromHex("28b52ffd") + PlainText(100);
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.Scan(zstandard), IsIncomplete(OutcomeReason::kUnsupported));
  EXPECT_THAT(scanner.Scan(MakeZip({Deflated("a.zst", zstandard)})), IsIncomplete(OutcomeReason::kUnsupported));
}

TEST_F(ScannerArchive, SaysThatAnOpenDocumentIsEncrypted) {
  const auto manifest = [](std::string entry) {
    return MakeZip({{.name = "mimetype", .data = "application/vnd.oasis.opendocument.text"},
                    Deflated("META-INF/manifest.xml",
                             "<?xml version=\"1.0\"?><manifest:manifest "
                             "xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\">" +
                                 entry + "</manifest:manifest>")});
  };
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.Scan(manifest("<manifest:file-entry/>")), IsClean());
  EXPECT_THAT(scanner.Scan(manifest("<manifest:encryption-data/>")), IsIncomplete(OutcomeReason::kEncrypted));
}

}  // namespace
}  // namespace lazaret::tests
