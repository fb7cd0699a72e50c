#include "scanner/format_check.h"

#include <gtest/gtest.h>

#include <string>

namespace lazaret::scanner {
namespace {

using namespace std::string_literals;

TEST(FormatCheck, KnowsMarks) {
  for (const std::string& start : {"\x28\xB5\x2F\xFD"s, "\x04\x22\x4D\x18"s, "LZIP\1"s, "!<arch>\ndebian-binary"s,
                                   "\xED\xAB\xEE\xDB"s, "MSWIM\0\0\0"s, "-----BEGIN PGP MESSAGE-----"s,
                                   "\x1F\x9D\x90x"s, "\x5D\0\0\x80\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0xxxx"s}) {
    const auto found = CheckFormat(start + std::string(100, 'x'));
    ASSERT_TRUE(found) << start;
    EXPECT_EQ(found->reason, wire::OutcomeReason::kUnsupported);
    EXPECT_FALSE(CheckFormat("x" + start)) << start;
  }
}

TEST(FormatCheck, LeavesOrdinaryDataAlone) {
  for (const std::string& start : {"!<arch>\nobject.o/"s, "\x1F\x9D\x03x"s,
                                   "\x5D\0\0\x81\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0xxxx"s, "hsqs"s, "]"s, ""s}) {
    EXPECT_FALSE(CheckFormat(start)) << start;
  }
}

std::string Member(char type, std::string_view size, const std::string& data) {
  std::string header("name");
  header.resize(124, '\0');
  header += size;
  header.resize(156, '\0');
  header += type;
  header.resize(512, '\0');
  std::string padded = data;
  padded.resize((data.size() + 511) / 512 * 512, '\0');
  return header + padded;
}

TEST(FormatCheck, SeesSizesThatLibclamavDoesNotRead) {
  const std::string plain = Member('0', "00000000004", "data");
  EXPECT_FALSE(CheckTar(plain + plain));
  EXPECT_TRUE(CheckTar(plain + Member('x', "00000000012", "10 size=4\n") + plain));
  EXPECT_TRUE(CheckTar(Member('g', "00000000025", "11 path=ab\n10 size=4\n") + plain));
  EXPECT_FALSE(CheckTar(Member('x', "00000000016", "14 GNU.size=4\n") + plain));
  EXPECT_FALSE(CheckTar(Member('0', "00000000012", "10 size=4\n"))) << "an ordinary file";
  EXPECT_TRUE(CheckTar(plain + Member('0', "\x80\0\0\0\0\0\0\0\0\0\0\4"s, "data")));
  EXPECT_FALSE(CheckTar(plain.substr(0, 511)));
}

}  // namespace
}  // namespace lazaret::scanner
