#include "scanner/layer_check.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace lazaret::scanner {
namespace {

using wire::OutcomeReason;

std::optional<OutcomeReason> Check(std::string_view type, std::string_view content, bool has_rar = false) {
  const auto found = CheckLayer({type, AsBytes(content)}, has_rar);
  return found.empty() ? std::nullopt : std::optional(found[0].reason);
}

std::string LocalHeader(unsigned method, unsigned flags = 0, unsigned version = 20) {
  std::string header("PK\x03\x04", 4);
  for (const unsigned value : {version, flags, method}) {
    header += static_cast<char>(value);
    header += static_cast<char>(value >> 8);
  }
  header.append(8, '\0');        // time, date, checksum
  header.append("\4\0\0\0", 4);  // packed
  header.append("\4\0\0\0", 4);  // unpacked
  header.append("\1\0\0\0", 4);  // name, extra field
  return header + "a" + "data";
}

TEST(LayerCheck, NamesZipMethodsThatAreNotKnown) {
  for (const unsigned method : {0u, 6u, 8u, 9u, 12u}) {
    EXPECT_EQ(Check("CL_TYPE_ZIP", LocalHeader(method)), std::nullopt) << method;
  }
  for (const unsigned method : {1u, 14u, 93u, 95u, 98u}) {
    EXPECT_EQ(Check("CL_TYPE_ZIP", LocalHeader(8) + LocalHeader(method)), OutcomeReason::kUnsupported) << method;
    EXPECT_EQ(Check("CL_TYPE_OOXML_WORD", LocalHeader(method)), OutcomeReason::kUnsupported) << method;
  }
  EXPECT_EQ(Check("CL_TYPE_TEXT_ASCII", "text " + LocalHeader(14)), std::nullopt);
}

TEST(LayerCheck, LeavesEncryptedZipMembersToLibclamav) {
  EXPECT_EQ(Check("CL_TYPE_ZIP", LocalHeader(99, 1)), std::nullopt);
  EXPECT_EQ(Check("CL_TYPE_ZIP", LocalHeader(8, 1u << 13)), OutcomeReason::kEncrypted) << "hidden header";
}

TEST(LayerCheck, IgnoresChanceBytesInZipMembers) {
  EXPECT_EQ(Check("CL_TYPE_ZIP", LocalHeader(14, 0, 200)), std::nullopt);
  EXPECT_EQ(Check("CL_TYPE_ZIP", "PK\x03\x04"), std::nullopt) << "cut off";
  EXPECT_EQ(Check("CL_TYPE_ZIP", LocalHeader(14).substr(0, 29)), std::nullopt) << "cut off";
}

TEST(LayerCheck, LooksForZipsBehindPrograms) {
  const std::string program(100, 'x');
  EXPECT_EQ(Check("CL_TYPE_MSEXE", program + LocalHeader(14)), OutcomeReason::kUnsupported);
  EXPECT_EQ(Check("CL_TYPE_ELF", program + LocalHeader(8)), std::nullopt);
  std::string chance = program + LocalHeader(14);
  chance.pop_back();
  EXPECT_EQ(Check("CL_TYPE_ELF", chance), std::nullopt) << "the member does not fit";
}

TEST(LayerCheck, NamesRarWithoutUnrar) {
  EXPECT_EQ(Check("CL_TYPE_RAR", "anything"), OutcomeReason::kUnsupported);
  EXPECT_EQ(Check("CL_TYPE_RAR", "anything", true), std::nullopt);
}

TEST(LayerCheck, LooksForRarBehindPrograms) {
  const std::string rar4 = "MZ" + std::string("Rar!\x1A\x07\0\xCF\x90\x73\0\0\x0D\0", 14) + std::string(20, '\0');
  const std::string rar5 = "MZ" + std::string("Rar!\x1A\x07\1\0\1\2\3\4\x0D\1\5", 15) + std::string(20, '\0');
  EXPECT_EQ(Check("CL_TYPE_MSEXE", rar4), OutcomeReason::kUnsupported);
  EXPECT_EQ(Check("CL_TYPE_MSEXE", rar5), OutcomeReason::kUnsupported);
  EXPECT_EQ(Check("CL_TYPE_MSEXE", rar5, true), std::nullopt);
  EXPECT_EQ(Check("CL_TYPE_TEXT_ASCII", rar5), std::nullopt);
  EXPECT_EQ(Check("CL_TYPE_MSEXE", std::string("MZ Rar!\x1A\x07\0 the mark alone, as programs have it", 40)),
            std::nullopt);
  EXPECT_EQ(Check("CL_TYPE_MSEXE", "MZ Rar!\x1A\x07"), std::nullopt) << "cut off";
}

std::string DirectoryEntry(std::string_view name) {
  std::string entry;
  for (const char c : name) entry += {c, '\0'};
  entry.resize(64, '\0');
  entry += static_cast<char>(2 * (name.size() + 1));
  entry += {'\0', '\2'};
  entry.resize(128, '\0');
  return entry;
}

TEST(LayerCheck, NamesEncryptedOfficeDocuments) {
  const std::string before(512, '\0');
  EXPECT_EQ(Check("CL_TYPE_MSOLE2", before + DirectoryEntry("EncryptedPackage")), OutcomeReason::kEncrypted);
  EXPECT_EQ(Check("CL_TYPE_MSOLE2", before + DirectoryEntry("WordDocument")), std::nullopt);
  EXPECT_EQ(Check("CL_TYPE_MSOLE2", before + "text" + DirectoryEntry("EncryptedPackage")), std::nullopt)
      << "the words in a document's text";
  EXPECT_EQ(Check("CL_TYPE_TEXT_ASCII", before + DirectoryEntry("EncryptedPackage")), std::nullopt);
}

TEST(LayerCheck, KnowsArchivesThatAreNeverEmpty) {
  EXPECT_TRUE(IsOpaqueWithoutLayers("CL_TYPE_7Z"));
  EXPECT_FALSE(IsOpaqueWithoutLayers("CL_TYPE_ZIP"));
}

}  // namespace
}  // namespace lazaret::scanner
