// What a scanner says about contents.
#include <fcntl.h>

#include <filesystem>
#include <string>

#include "integration/archives.h"
#include "integration/scanner_fixture.h"

namespace lazaret::tests {
namespace {

using wire::OutcomeReason;

class ScannerVerdict : public ScannerTest {};

ZipMember Stored(std::string name, std::string data) { return {.name = std::move(name), .data = std::move(data)}; }
ZipMember Deflated(std::string name, std::string data) {
  return {.name = std::move(name), .data = std::move(data), .deflate = true};
}

TEST_F(ScannerVerdict, FindsEicar) {
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.Scan(Eicar()), IsInfectedWith("Test.Eicar.UNOFFICIAL"));
  EXPECT_THAT(scanner.Scan(MakeZip({Deflated("eicar.com", Eicar())})), IsInfectedWith("Test.Eicar.UNOFFICIAL"));
}

TEST_F(ScannerVerdict, CallsHarmlessContentsClean) {
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.Scan(PlainText(10'000)), IsClean());
  EXPECT_THAT(scanner.Scan(MakeZip({Deflated("a.txt", PlainText(10'000)), Stored("b.txt", PlainText(100))})),
              IsClean());
  EXPECT_THAT(scanner.Scan("12345"), IsClean());
  EXPECT_THAT(scanner.Scan(MakeCompoundFile("WordDocument")), IsClean());
}

TEST_F(ScannerVerdict, CallsAnEmptyFileClean) {
  const auto outcome = OneScanner().Scan("");
  ASSERT_THAT(outcome, IsClean());
  EXPECT_EQ(outcome->size, 0u);
}

TEST_F(ScannerVerdict, RepeatsNumberAndSize) {
  const Scanner scanner = OneScanner();
  const UniqueFd content = MakeContent("some text");
  ASSERT_TRUE(scanner.Send({.number = 77, .size = 9, .time_limit_ms = 1000}, content.Get()));
  const auto outcome = scanner.Receive();
  ASSERT_THAT(outcome, IsClean());
  EXPECT_EQ(outcome->number, 77u);
  EXPECT_EQ(outcome->size, 9u);
}

TEST_F(ScannerVerdict, RefusesAContentOfAnotherSize) {
  const Scanner scanner = OneScanner();
  const UniqueFd content = MakeContent(Eicar());
  ASSERT_TRUE(scanner.Send({.number = 1, .size = 3, .time_limit_ms = 1000}, content.Get()));
  EXPECT_THAT(scanner.Receive(), IsIncomplete(OutcomeReason::kEngineError));
  ASSERT_TRUE(scanner.Send({.number = 1, .size = Eicar().size(), .time_limit_ms = 1000}, content.Get()));
  EXPECT_THAT(scanner.Receive(), IsInfectedWith("Test.Eicar.UNOFFICIAL"));
}

TEST_F(ScannerVerdict, FindsEveryTestFile) {
  const Scanner scanner = OneScanner();
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(kTestFiles)) {
    EXPECT_THAT(scanner.ScanFile(file.path()), IsInfectedWith("ClamAV-Test-File.UNOFFICIAL")) << file.path();
    ++files;
  }
  EXPECT_GE(files, 40) << "package clamav-testfiles";
}

TEST_F(ScannerVerdict, IsIncompleteWhenTheTempDirectoryIsFull) {
  request_.temp_bytes = 16 << 10;
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.ScanFile(std::string(kTestFiles) + "/clam.ppt"), IsIncomplete(OutcomeReason::kTemporarySpace));
  EXPECT_THAT(scanner.Scan(MakeZip({Deflated("big.txt", PlainText(100'000))})),
              IsIncomplete(OutcomeReason::kTemporarySpace));
  EXPECT_THAT(scanner.Scan(MakeZip({Deflated("small.txt", PlainText(5'000))})), IsClean());
}

TEST_F(ScannerVerdict, IsIncompleteWhenAPlainTempDirectoryIsFull) {
  UsePlainTempDirectories();
  request_.temp_bytes = 16 << 10;
  const Scanner scanner = OneScanner();
  EXPECT_THAT(ready_.sandbox, testing::Not(testing::Contains("tmpfs")));
  EXPECT_THAT(scanner.Scan(MakeZip({Deflated("big.txt", PlainText(100'000))})),
              IsIncomplete(OutcomeReason::kTemporarySpace));
  EXPECT_THAT(scanner.Scan(MakeZip({Deflated("small.txt", PlainText(5'000))})), IsClean());
}

TEST_F(ScannerVerdict, IsIncompleteWhenTheTempDirectoryIsGone) {
  UsePlainTempDirectories();
  const Scanner scanner = OneScanner();
  ASSERT_THAT(scanner.Scan(PlainText(100)), IsClean());
  std::filesystem::remove_all(request_.temp_directory + "/0");
  EXPECT_THAT(scanner.Scan(kMarker), IsIncomplete(OutcomeReason::kTemporarySpace));
  // It ends, so that it is replaced by one with a directory.
  ASSERT_TRUE(zygote_->WaitForExit());
  const auto next = zygote_->Fork(0);
  ASSERT_TRUE(next) << next.error().what;
  EXPECT_THAT(next->Scan(kMarker), IsInfectedWith("Test.Marker.UNOFFICIAL"));
}

TEST_F(ScannerVerdict, LimitsTheSizeOfTheContent) {
  request_.max_file_bytes = 100'000;
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.Scan(PlainText(100'000)), IsClean());
  EXPECT_THAT(scanner.Scan(PlainText(100'001)), IsIncomplete(OutcomeReason::kLimitExceeded));
}

TEST_F(ScannerVerdict, LimitsTheSizeOfAMember) {
  request_.max_file_bytes = 100'000;
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.Scan(MakeZip({Deflated("a.txt", PlainText(100'000))})), IsClean());
  EXPECT_THAT(scanner.Scan(MakeZip({Deflated("a.txt", PlainText(100'001))})),
              IsIncomplete(OutcomeReason::kLimitExceeded));
}

TEST_F(ScannerVerdict, SeesThatAMemberThatLiesAboutItsSizeWasCutOff) {
  request_.max_file_bytes = 100'000;
  // Neither text, whose size libclamav checks once more, nor larger than the limit when packed.
  ZipMember member = Deflated("a", std::string(500'000, '\1') + std::string(kMarker));
  member.claimed_size = 10;
  EXPECT_THAT(OneScanner().Scan(MakeZip({member})), IsIncomplete(OutcomeReason::kLimitExceeded));
}

TEST_F(ScannerVerdict, LimitsTheSizeOfAllLayers) {
  const std::string zip = MakeZip({Stored("a.txt", PlainText(40'000)), Stored("b.txt", PlainText(40'000))});
  request_.max_scan_bytes = zip.size() + 80'000;
  EXPECT_THAT(OneScanner().Scan(zip), IsClean());
  request_.max_scan_bytes -= 1;
  EXPECT_THAT(OneScanner().Scan(zip), IsIncomplete(OutcomeReason::kLimitExceeded));
}

TEST_F(ScannerVerdict, LimitsTheDepth) {
  // The content itself is the first layer.
  request_.max_recursion = 5;
  const Scanner scanner = OneScanner();
  EXPECT_THAT(scanner.Scan(MakeNestedZip(std::string(kMarker), 4)), IsInfectedWith("Test.Marker.UNOFFICIAL"));
  EXPECT_THAT(scanner.Scan(MakeNestedZip(PlainText(200), 4)), IsClean());
  EXPECT_THAT(scanner.Scan(MakeNestedZip(std::string(kMarker), 5)), IsIncomplete(OutcomeReason::kLimitExceeded));
}

TEST_F(ScannerVerdict, LimitsTheNumberOfFiles) {
  request_.max_files = 10;
  const Scanner scanner = OneScanner();
  const auto zip = [](int members) {
    std::vector<ZipMember> list;
    for (int i = 0; i < members; ++i) list.push_back(Stored(std::to_string(i), PlainText(100)));
    return MakeZip(list);
  };
  const auto tar = [](int members) {
    std::vector<std::pair<std::string, std::string>> list;
    for (int i = 0; i < members; ++i) list.emplace_back(std::to_string(i), PlainText(100));
    return MakeTar(list);
  };
  EXPECT_THAT(scanner.Scan(zip(9)), IsClean());
  EXPECT_THAT(scanner.Scan(zip(10)), IsIncomplete(OutcomeReason::kLimitExceeded));
  EXPECT_THAT(scanner.Scan(tar(9)), IsClean());
  EXPECT_THAT(scanner.Scan(tar(10)), IsIncomplete(OutcomeReason::kLimitExceeded));
}

TEST_F(ScannerVerdict, SaysThatAZipIsEncrypted) {
  const Scanner scanner = OneScanner();
  ZipMember member = Stored("secret.txt", PlainText(100));
  member.encrypted_flag = true;
  EXPECT_THAT(scanner.Scan(MakeZip({member})), IsIncomplete(OutcomeReason::kEncrypted));
  EXPECT_THAT(scanner.Scan(MakeZip({member, Stored("eicar.com", Eicar())})), IsInfectedWith("Test.Eicar.UNOFFICIAL"))
      << "a detection wins";
}

TEST_F(ScannerVerdict, SaysThatAnOfficeDocumentIsEncrypted) {
  EXPECT_THAT(OneScanner().Scan(MakeCompoundFile("EncryptedPackage")), IsIncomplete(OutcomeReason::kEncrypted));
}

TEST_F(ScannerVerdict, SaysThatRarIsUnsupported) {
  const Scanner scanner = OneScanner();
  if (!ready_.features.empty()) GTEST_SKIP() << "UnRAR is installed";
  EXPECT_THAT(scanner.Scan(MakeRarStart()), IsIncomplete(OutcomeReason::kUnsupported));
  EXPECT_THAT(scanner.Scan(MakeZip({Stored("a.rar", MakeRarStart())})), IsIncomplete(OutcomeReason::kUnsupported));
}

TEST_F(ScannerVerdict, SaysThatAPackingMethodIsUnsupported) {
  ZipMember member = Stored("a.txt", PlainText(100));
  member.method = 14;
  EXPECT_THAT(OneScanner().Scan(MakeZip({member})), IsIncomplete(OutcomeReason::kUnsupported));
}

TEST_F(ScannerVerdict, SaysThatTheTimeIsUp) {
  const Scanner scanner = OneScanner();
  std::vector<ZipMember> members;
  for (int i = 0; i < 3000; ++i) members.push_back(Stored(std::to_string(i), PlainText(2000)));
  const std::string zip = MakeZip(members);
  EXPECT_THAT(scanner.Scan(zip), IsClean());
  EXPECT_THAT(scanner.Scan(zip, 1), IsIncomplete(OutcomeReason::kTimeout));
  EXPECT_THAT(scanner.Scan(zip), IsClean()) << "each scan has its own limit";
}

TEST_F(ScannerVerdict, DetectsInEveryScannerAtOnce) {
  const std::string path = std::string(kTestFiles) + "/clam.exe";
  ScannerProcess& zygote = Zygote();
  std::vector<Scanner> scanners;
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    auto scanner = zygote.Fork(slot);
    ASSERT_TRUE(scanner);
    scanners.push_back(*std::move(scanner));
  }
  const UniqueFd content(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(content) << "package clamav-testfiles";
  const std::uint64_t size = std::filesystem::file_size(path);
  for (std::uint64_t round = 0; round < 50; ++round) {
    for (const Scanner& scanner : scanners) {
      ASSERT_TRUE(scanner.Send({.number = round, .size = size, .time_limit_ms = 60'000}, content.Get()));
    }
    for (const Scanner& scanner : scanners) {
      ASSERT_THAT(scanner.Receive(), IsInfectedWith("ClamAV-Test-File.UNOFFICIAL"));
    }
  }
}

}  // namespace
}  // namespace lazaret::tests
