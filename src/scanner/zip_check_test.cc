#include "scanner/zip_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace lazaret::scanner {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using wire::OutcomeReason;

std::string Number(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i, value >>= 8) out += static_cast<char>(value & 0xFF);
  return out;
}

struct Entry {
  unsigned method = 8, flags = 0;
  std::uint32_t crc = 7, size = 100, local_size = 100, packed_said = 4;
  std::string packed = "data";
  bool listed = true;
};

struct Zip {
  std::string members, directory, end;
  std::string All() const { return members + directory + end; }
};

Zip Make(const std::vector<Entry>& entries, std::uint32_t moved = 0) {
  Zip zip;
  unsigned count = 0;
  for (const Entry& one : entries) {
    const auto common = [&](std::uint32_t size) {
      return Number(20, 2) + Number(one.flags, 2) + Number(one.method, 2) + Number(0, 4) + Number(one.crc, 4) +
             Number(one.packed_said, 4) + Number(size, 4) + Number(1, 2) + Number(0, 2);
    };
    if (one.listed) {
      zip.directory += "PK\x01\x02" + Number(20, 2) + common(one.size) + Number(0, 10) +
                       Number(static_cast<std::uint32_t>(zip.members.size()) + moved, 4) + "a";
      ++count;
    }
    zip.members += "PK\x03\x04" + common(one.local_size) + "a" + one.packed;
  }
  zip.end = "PK\x05\x06" + Number(0, 4) + Number(count, 2) + Number(count, 2) +
            Number(static_cast<std::uint32_t>(zip.directory.size()), 4) +
            Number(static_cast<std::uint32_t>(zip.members.size()) + moved, 4) + Number(0, 2);
  return zip;
}

std::vector<OutcomeReason> Faults(std::string_view content) {
  std::vector<OutcomeReason> out;
  for (const Incomplete& fault : ReadZip(content).faults) out.push_back(fault.reason);
  return out;
}

constexpr auto kUnsupported = OutcomeReason::kUnsupported;

TEST(ZipCheck, ListsMembers) {
  const auto listing = ReadZip(Make({{}, {.crc = 9, .size = 6, .local_size = 6}}).All());
  EXPECT_THAT(listing.faults, IsEmpty());
  EXPECT_THAT(listing.members, ElementsAre(ZipMember{100, 7}, ZipMember{6, 9}));
  EXPECT_THAT(ReadZip(Make({}).All()).faults, IsEmpty());
}

TEST(ZipCheck, LeavesOutWhatLibclamavNeverOpens) {
  const auto listing = ReadZip(Make({{.size = 5, .local_size = 5}}).All());
  EXPECT_THAT(listing.members, IsEmpty());
  EXPECT_THAT(listing.faults, IsEmpty());
  for (const unsigned size : {64u, 65u}) {
    const Entry entry{.size = 5, .local_size = 5, .packed_said = size, .packed = std::string(size, 'x')};
    EXPECT_EQ(Faults(Make({entry}).All()).size(), size - 64u) << "packed data that holds more";
  }
}

TEST(ZipCheck, NeedsADirectory) {
  const Zip zip = Make({{}, {}});
  EXPECT_THAT(Faults(zip.members), ElementsAre(kUnsupported));
  EXPECT_THAT(Faults(zip.members + zip.directory), ElementsAre(kUnsupported));
  EXPECT_THAT(Faults(zip.members + zip.end), ElementsAre(kUnsupported));
  EXPECT_THAT(Faults(zip.members + zip.directory.substr(1) + zip.end), ElementsAre(kUnsupported));
  for (std::size_t size = 0; size < zip.All().size(); ++size) {
    EXPECT_THAT(Faults(zip.All().substr(0, size)), ElementsAre(kUnsupported)) << size;
  }
}

TEST(ZipCheck, SeesADamagedDirectory) {
  Zip zip = Make({{}, {}});
  std::string outside = zip.All();
  outside.replace(zip.members.size() + 42, 4, Number(0x7FFFFFFF, 4));
  EXPECT_THAT(Faults(outside), ElementsAre(kUnsupported));
  std::string between = zip.All();
  between.replace(zip.members.size() + 42, 4, Number(1, 4));
  EXPECT_THAT(Faults(between), ElementsAre(kUnsupported));
  std::string long_name = zip.All();
  long_name.replace(zip.members.size() + 28, 2, "\xFF\xFF");
  EXPECT_THAT(Faults(long_name), ElementsAre(kUnsupported));
  zip.end.replace(8, 4, Number(0x00030003, 4));
  EXPECT_THAT(Faults(zip.All()), ElementsAre(kUnsupported)) << "one member too few";
}

TEST(ZipCheck, SeesMembersThatAreNotListed) {
  EXPECT_THAT(Faults(Make({{}, {.listed = false}, {}}).All()), ElementsAre(kUnsupported));
  EXPECT_THAT(Faults(Make({{}, {.listed = false}}).All()), ElementsAre(kUnsupported));
  EXPECT_THAT(Faults(Make({{.listed = false}, {}}).All()), ElementsAre(kUnsupported));
  const Entry described{.flags = 8, .packed = "dataPK\x07\x08" + std::string(12, 'd')};
  EXPECT_THAT(Faults(Make({described, {.listed = false}}).All()), ElementsAre(kUnsupported));
  EXPECT_THAT(Faults(Make({described, {}}).All()), IsEmpty());
}

TEST(ZipCheck, SeesHeadersThatContradictEachOther) {
  EXPECT_THAT(Faults(Make({{.local_size = 99}}).All()), ElementsAre(kUnsupported));
  EXPECT_THAT(Faults(Make({{.flags = 8, .local_size = 0}}).All()), IsEmpty()) << "the size comes behind the data";
}

TEST(ZipCheck, KnowsMethods) {
  for (const unsigned method : {0u, 6u, 8u, 9u, 12u}) EXPECT_THAT(Faults(Make({{.method = method}}).All()), IsEmpty());
  for (const unsigned method : {1u, 7u, 10u, 11u, 13u, 14u, 93u, 255u}) {
    EXPECT_THAT(Faults(Make({{.method = method}}).All()), ElementsAre(kUnsupported)) << method;
  }
}

TEST(ZipCheck, SeesEncryption) {
  for (const unsigned flags : {1u, 1u << 13}) {
    EXPECT_THAT(Faults(Make({{.flags = flags}, {}}).All()), ElementsAre(OutcomeReason::kEncrypted));
  }
}

TEST(ZipCheck, NamesZip64AndSplitArchives) {
  EXPECT_EQ(ReadZip(Make({{.size = 0xFFFFFFFF}}).All()).faults.at(0).detail, "ZIP64 archive");
  EXPECT_EQ(ReadZip(Make({{}}, 0xFFFFFFFF - 35).All()).faults.at(0).detail, "ZIP64 archive");
  Zip zip = Make({{}});
  zip.end[4] = 1;
  EXPECT_EQ(ReadZip(zip.All()).faults.at(0).detail, "ZIP archive in several parts");
}

TEST(ZipCheck, AcceptsSomethingInFrontAndBehind) {
  const std::string front(50, 'x');
  EXPECT_THAT(Faults(front + Make({{}, {}}).All()), IsEmpty()) << "offsets from the start of the archive";
  EXPECT_THAT(Faults(front + Make({{}, {}}, 50).All()), IsEmpty()) << "offsets from the start of the file";
  EXPECT_THAT(Faults(Make({{}, {}}).All() + front), IsEmpty());
}

TEST(ZipCheck, LooksForAnAppendedArchive) {
  const std::string program(500, 'x');
  ASSERT_TRUE(ReadAppendedZip(program + Make({{}}).All()));
  EXPECT_EQ(ReadAppendedZip(program + Make({{}}).All())->members.size(), 1u);
  EXPECT_FALSE(ReadAppendedZip(program));
  EXPECT_FALSE(ReadAppendedZip(program + Make({}).All()));
  EXPECT_FALSE(ReadAppendedZip(program + Make({{}}).members));
  EXPECT_TRUE(ReadAppendedZip(Make({{}}).All() + std::string(0xFFFF, 'x')));
  EXPECT_FALSE(ReadAppendedZip(Make({{}}).All() + std::string(0x10000, 'x')));
}

}  // namespace
}  // namespace lazaret::scanner
