// What makes scans quicker changes no verdict, alone and together.
#include <poll.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "integration/archives.h"
#include "integration/scanner_fixture.h"

namespace lazaret::tests {
namespace {

// Three measures, each on or off.
class ScannerMeasures : public ScannerTest, public testing::WithParamInterface<unsigned> {
 protected:
  // More than are mapped at least (scanner/match_state.h): the first ones with all kinds of operators, then many that
  // never match, then one that is reached only when all rows are where they belong.
  static std::string LogicalSignatures() {
    const auto parts = [](std::string_view names) {
      std::string text;
      for (const char name : names) text += ";" + ToHex(Part(name));
      return text;
    };
    std::string text = "Both;Target:0;0&1" + parts("AB") + "\nEither;Target:0;(0|1)&2" + parts("CDE") +
                       "\nMore;Target:0;0>2" + parts("F") + "\nExactly;Target:0;(0&1)|(0=2)" + parts("GH") +
                       "\nWithout;Target:0;0&(1=0)" + parts("IJ") + "\nFew;Target:0;0&(1<2)" + parts("KL") + "\n";
    for (int i = 0; i < 3000; ++i) {
      text += fmt::format("Never.{0};Target:0;0&1|2;{1};{2};{3}\n", i, ToHex(fmt::format("never-{}-first", i)),
                          ToHex(fmt::format("never-{}-second", i)), ToHex(fmt::format("never-{}-third", i)));
    }
    return text + "Last;Target:0;0&1&2" + parts("XYZ") + "\n";
  }
  static std::string Part(char name) { return fmt::format("part-{0}{0}{0}-of-a-signature", name); }
  static std::string Of(std::string_view names) {
    std::string text = PlainText(3000);
    for (const char name : names) text += Part(name) + PlainText(100);
    return text;
  }
};

TEST_P(ScannerMeasures, ChangeNoVerdict) {
  scratch_.Write("signatures/logical.ldb", LogicalSignatures());
  request_.huge_pages = (GetParam() & 1) != 0;
  request_.skip_unmatched = (GetParam() & 2) != 0;
  request_.share_match_state = (GetParam() & 4) != 0;
  const Scanner scanner = OneScanner();
  // Huge pages are the kernel's to give.
  EXPECT_THAT(ready_.warnings,
              testing::Each(testing::Not(testing::AnyOf(testing::HasSubstr("engine.skip_unmatched"),
                                                        testing::HasSubstr("engine.share_match_state")))));
  const std::pair<const char*, const char*> found[] = {{"AB", "Both"},   {"CE", "Either"},  {"DE", "Either"},
                                                       {"FFF", "More"},  {"GH", "Exactly"}, {"GG", "Exactly"},
                                                       {"I", "Without"}, {"KL", "Few"},     {"XYZ", "Last"}};
  // Twice: what one content has matched is not left to the next.
  for (int round = 0; round < 2; ++round) {
    for (const auto& [parts, name] : found) {
      const auto signature = fmt::format("{}.UNOFFICIAL", name);
      EXPECT_THAT(scanner.Scan(Of(parts)), IsInfectedWith(signature)) << parts;
      EXPECT_THAT(scanner.Scan(MakeZip({{.name = "a.txt", .data = Of(""), .deflate = true},
                                        {.name = "b.txt", .data = Of(parts), .deflate = true}})),
                  IsInfectedWith(signature))
          << parts;
    }
    for (const char* parts : {"", "A", "B", "CD", "E", "FF", "G", "GGG", "IJ", "KLL", "XY", "Z"}) {
      EXPECT_THAT(scanner.Scan(Of(parts)), IsClean()) << parts;
    }
  }
  EXPECT_THAT(scanner.Scan(Eicar()), IsInfectedWith("Test.Eicar.UNOFFICIAL"));
}

// That libclamav reaches our functions at all: a scan with the measure maps the file, one without it does not.
TEST_P(ScannerMeasures, AreInUse) {
  if (::geteuid() != 0) GTEST_SKIP() << "a scanner is not dumpable: only root sees its mappings";
  scratch_.Write("signatures/logical.ldb", LogicalSignatures());
  request_.share_match_state = (GetParam() & 4) != 0;
  const Scanner scanner = OneScanner();
  const std::string large = PlainText(8 << 20);
  const UniqueFd content = MakeContent(large);
  bool seen = false;
  for (int scan = 0; scan < 10 && !seen; ++scan) {
    ASSERT_TRUE(scanner.Send({.number = 1, .size = large.size(), .time_limit_ms = 60'000}, content.Get()));
    pollfd answer{scanner.socket.Get(), POLLIN, 0};
    while (!seen && ::poll(&answer, 1, 0) == 0) {
      std::ifstream maps(fmt::format("/proc/{}/maps", scanner.pid));
      const std::string text(std::istreambuf_iterator<char>(maps), {});
      seen = text.find("/memfd:matches") != text.npos && text.find("/memfd:offsets") != text.npos;
    }
    EXPECT_THAT(scanner.Receive(), IsClean());
  }
  EXPECT_EQ(seen, request_.share_match_state);
}

INSTANTIATE_TEST_SUITE_P(OnAndOff, ScannerMeasures, testing::Range(0u, 8u));

}  // namespace
}  // namespace lazaret::tests
