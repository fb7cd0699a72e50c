#include "scanner/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lazaret::scanner {
namespace {

using testing::ElementsAre;
using wire::OutcomeKind;
using wire::OutcomeReason;

constexpr ScanLimits kLimits{.file_bytes = 100, .scan_bytes = 250};

class FindingsTest : public testing::Test {
 protected:
  void AddLayer(std::string_view type, std::size_t size, std::uint32_t level) {
    bytes_.assign(size, 'x');
    findings_.AddLayer({type, AsBytes(bytes_)}, level);
  }
  OutcomeReason Reason() { return findings_.Conclude().reason; }

  std::string bytes_;
  Findings findings_{kLimits, false};
};

TEST(IncompleteReasonTest, TellsLimitsFromDetections) {
  const std::pair<std::string_view, std::optional<OutcomeReason>> cases[] = {
      {"Heuristics.Limits.Exceeded.MaxFileSize", OutcomeReason::kLimitExceeded},
      {"Heuristics.Limits.Exceeded.MaxScanSize", OutcomeReason::kLimitExceeded},
      {"Heuristics.Limits.Exceeded.MaxFiles", OutcomeReason::kLimitExceeded},
      {"Heuristics.Limits.Exceeded.MaxRecursion", OutcomeReason::kLimitExceeded},
      {"Heuristics.Limits.Exceeded.EmailLineFoldcnt", OutcomeReason::kLimitExceeded},
      {"Heuristics.Limits.Exceeded.MaxScanTime", OutcomeReason::kTimeout},
      {"Heuristics.Encrypted.Zip", OutcomeReason::kEncrypted},
      {"Heuristics.Encrypted.PDF", OutcomeReason::kEncrypted},
      {"Heuristics.XZ.DicSizeLimit", OutcomeReason::kLimitExceeded},
      {"Heuristics.Phishing.Email.SpoofedDomain", std::nullopt},
      {"Heuristics.Zip.OverlappingFiles", std::nullopt},
      {"Win.Trojan.Encrypted.Zip-1", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& [name, reason] : cases) EXPECT_EQ(IncompleteReason(name), reason) << name;
}

TEST_F(FindingsTest, IsCleanOnlyWithoutAnyNote) {
  AddLayer("CL_TYPE_TEXT_ASCII", 10, 0);
  EXPECT_EQ(findings_.Conclude().kind, OutcomeKind::kClean);
  findings_.AddIncomplete(OutcomeReason::kEngineError, "some error");
  const auto outcome = findings_.Conclude();
  EXPECT_EQ(outcome.kind, OutcomeKind::kIncomplete);
  EXPECT_EQ(outcome.reason, OutcomeReason::kEngineError);
  EXPECT_EQ(outcome.detail, "some error");
}

TEST_F(FindingsTest, LetsADetectionWin) {
  findings_.AddIncomplete(OutcomeReason::kTemporarySpace, "full");
  findings_.AddAlert("Heuristics.Limits.Exceeded.MaxFiles");
  findings_.AddAlert("Win.Trojan.A-1");
  findings_.AddAlert("Win.Trojan.A-1");
  findings_.AddAlert("Win.Trojan.B-1");
  const auto outcome = findings_.Conclude();
  EXPECT_EQ(outcome.kind, OutcomeKind::kInfected);
  EXPECT_EQ(outcome.reason, OutcomeReason::kNone);
  EXPECT_THAT(outcome.signatures, ElementsAre("Win.Trojan.A-1", "Win.Trojan.B-1"));
}

TEST_F(FindingsTest, NamesReasonsThatMayPassFirst) {
  findings_.AddIncomplete(OutcomeReason::kEncrypted, "");
  EXPECT_EQ(Reason(), OutcomeReason::kEncrypted);
  findings_.AddIncomplete(OutcomeReason::kUnsupported, "");
  EXPECT_EQ(Reason(), OutcomeReason::kUnsupported);
  findings_.AddAlert("Heuristics.Limits.Exceeded.MaxFiles");
  EXPECT_EQ(Reason(), OutcomeReason::kLimitExceeded);
  findings_.AddAlert("Heuristics.Limits.Exceeded.MaxScanTime");
  EXPECT_EQ(Reason(), OutcomeReason::kTimeout);
  findings_.AddIncomplete(OutcomeReason::kEngineError, "");
  EXPECT_EQ(Reason(), OutcomeReason::kEngineError);
  findings_.AddIncomplete(OutcomeReason::kTemporarySpace, "");
  EXPECT_EQ(Reason(), OutcomeReason::kTemporarySpace);
}

TEST_F(FindingsTest, KeepsTheFirstDetailOfAReason) {
  findings_.AddIncomplete(OutcomeReason::kEngineError, "first");
  findings_.AddIncomplete(OutcomeReason::kEngineError, "second");
  EXPECT_EQ(findings_.Conclude().detail, "first");
}

TEST_F(FindingsTest, LimitsALayer) {
  AddLayer("CL_TYPE_BINARY_DATA", 100, 0);
  EXPECT_TRUE(findings_.IsComplete());
  AddLayer("CL_TYPE_BINARY_DATA", 101, 1);
  EXPECT_EQ(Reason(), OutcomeReason::kLimitExceeded);
}

TEST_F(FindingsTest, LimitsTheSumOfLayers) {
  AddLayer("CL_TYPE_BINARY_DATA", 100, 0);
  AddLayer("CL_TYPE_BINARY_DATA", 100, 1);
  AddLayer("CL_TYPE_BINARY_DATA", 50, 1);
  EXPECT_TRUE(findings_.IsComplete());
  AddLayer("CL_TYPE_BINARY_DATA", 1, 1);
  EXPECT_EQ(Reason(), OutcomeReason::kLimitExceeded);
}

TEST_F(FindingsTest, NoticesALayerThatCannotBeRead) {
  findings_.AddLayer({"CL_TYPE_BINARY_DATA", std::nullopt}, 0);
  EXPECT_EQ(Reason(), OutcomeReason::kEngineError);
}

TEST_F(FindingsTest, NoticesArchivesOfWhichNothingWasOpened) {
  AddLayer("CL_TYPE_POSIX_TAR", 40, 0);
  AddLayer("CL_TYPE_7Z", 40, 1);
  AddLayer("CL_TYPE_TEXT_ASCII", 10, 2);
  AddLayer("CL_TYPE_TEXT_ASCII", 10, 1);
  EXPECT_EQ(findings_.Conclude().kind, OutcomeKind::kClean);
  AddLayer("CL_TYPE_7Z", 40, 1);
  EXPECT_EQ(Reason(), OutcomeReason::kUnsupported) << "the last layer";
}

TEST_F(FindingsTest, NoticesAnEmptyArchiveBeforeItsSibling) {
  AddLayer("CL_TYPE_POSIX_TAR", 40, 0);
  AddLayer("CL_TYPE_7Z", 40, 1);
  AddLayer("CL_TYPE_TEXT_ASCII", 10, 1);
  EXPECT_EQ(Reason(), OutcomeReason::kUnsupported);
}

TEST_F(FindingsTest, WaitsForEveryMemberOfAZip) {
  // One stored member "a" with the content "xxxxxx".
  const std::string zip(
      "PK\3\4\x14\0\0\0\0\0\0\0\0\0\x6A\x3E\x40\xD2"
      "\6\0\0\0\6\0\0\0\1\0\0\0axxxxxx"
      "PK\1\2\x14\0\x14\0\0\0\0\0\0\0\0\0\x6A\x3E\x40\xD2"
      "\6\0\0\0\6\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a"
      "PK\5\6\0\0\0\0\1\0\1\0\x2F\0\0\0\x25\0\0\0\0\0",
      106);
  for (const std::size_t size : {6u, 7u}) {
    Findings findings({.file_bytes = 1000, .scan_bytes = 1000}, false);
    findings.AddLayer({"CL_TYPE_ZIP", AsBytes(zip)}, 0);
    const std::string member(size, 'x');
    findings.AddLayer({"CL_TYPE_BINARY_DATA", AsBytes(member)}, 1);
    EXPECT_EQ(findings.Conclude().reason, size == 6 ? OutcomeReason::kNone : OutcomeReason::kUnsupported);
  }
  Findings nothing_opened({.file_bytes = 1000, .scan_bytes = 1000}, false);
  nothing_opened.AddLayer({"CL_TYPE_ZIP", AsBytes(zip)}, 0);
  EXPECT_EQ(nothing_opened.Conclude().reason, OutcomeReason::kUnsupported);
}

TEST_F(FindingsTest, BelievesInEncryptedMembersThatFit) {
  AddLayer("CL_TYPE_ELF", 90, 0);
  findings_.AddEncryptedMember("CL_TYPE_ZIP", 91);
  EXPECT_TRUE(findings_.IsComplete());
  findings_.AddEncryptedMember("CL_TYPE_ZIP", 90);
  EXPECT_EQ(Reason(), OutcomeReason::kEncrypted);
}

}  // namespace
}  // namespace lazaret::scanner
