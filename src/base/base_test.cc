#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/memory_file.h"
#include "base/seqpacket.h"

namespace lazaret {
namespace {

constexpr std::string_view kAbcHex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, MatchesFips180Example) { EXPECT_EQ(Sha256::Of(AsBytes("abc")).Hex(), kAbcHex); }

TEST(Sha256, IsTheSameForEverySplit) {
  const std::string text = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  const Digest whole = Sha256::Of(AsBytes(text));
  Sha256 hasher;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    hasher.Update(AsBytes(text).first(i));
    hasher.Update(AsBytes(text).subspan(i));
    EXPECT_EQ(hasher.Finish(), whole) << "split at " << i;
  }
}

TEST(Digest, AppendsItsHex) {
  std::string text = "id ";
  Sha256::Of(AsBytes("abc")).AppendHex(text);
  EXPECT_EQ(text, "id " + std::string(kAbcHex));
}

TEST(Digest, RoundTripsThroughHex) {
  const auto digest = Digest::FromHex(kAbcHex);
  ASSERT_TRUE(digest);
  EXPECT_EQ(digest->Hex(), kAbcHex);
  EXPECT_EQ(Digest::FromBytes(digest->AsSpan()), digest);
}

TEST(Digest, RefusesAnythingButSixtyFourLowerCaseDigits) {
  EXPECT_FALSE(Digest::FromHex(kAbcHex.substr(1)));
  EXPECT_FALSE(Digest::FromHex(std::string(kAbcHex) + "0"));
  EXPECT_FALSE(Digest::FromHex("BA" + std::string(kAbcHex.substr(2))));
  EXPECT_FALSE(Digest::FromHex("g" + std::string(kAbcHex.substr(1))));
  EXPECT_FALSE(Digest::FromHex(""));
  EXPECT_FALSE(Digest::FromBytes(AsBytes(kAbcHex.substr(0, 31))));
}

TEST(FormatRfc3339, PadsEveryField) {
  const WallTime time = std::chrono::sys_days{std::chrono::March / 4 / 2026} + std::chrono::hours(5) +
                        std::chrono::minutes(6) + seconds(7) + milliseconds(8);
  EXPECT_EQ(FormatRfc3339(time), "2026-03-04T05:06:07.008Z");
}

TEST(MemoryFile, CannotBeChangedOnceItIsSealed) {
  const auto file = MakeSealedMemoryFile(AsBytes("content"));
  ASSERT_TRUE(file) << file.error().what;
  const UniqueFd again(::open(fmt::format("/proc/self/fd/{}", file->Get()).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(again);
  for (const int fd : {file->Get(), again.Get()}) {
    EXPECT_EQ(::pwrite(fd, "C", 1, 0), -1);
    EXPECT_EQ(::ftruncate(fd, 1), -1);
    EXPECT_EQ(::ftruncate(fd, 100), -1);
    EXPECT_EQ(::mmap(nullptr, 7, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    EXPECT_EQ(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1) << "the seals are sealed";
    void* const at = ::mmap(nullptr, 7, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(at, MAP_FAILED);
    EXPECT_EQ(::mprotect(at, 7, PROT_READ | PROT_WRITE), -1);
    EXPECT_EQ(std::string_view(static_cast<const char*>(at), 7), "content");
    ::munmap(at, 7);
  }
}

TEST(MemoryFile, IsSealedWhoeverHoldsItsPages) {
  const auto file = MakeMemoryFile();
  ASSERT_TRUE(file);
  ASSERT_TRUE(WriteAll(file->Get(), AsBytes("content"), "writing"));
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd out(ends[0]);
  const UniqueFd in(ends[1]);
  loff_t from = 0;
  ASSERT_EQ(::splice(file->Get(), &from, in.Get(), nullptr, 7, 0), 7) << "the pipe holds the page now";
  const auto sealed = SealMemoryFile(file->Get());
  EXPECT_TRUE(sealed) << sealed.error().what;
  EXPECT_EQ(::pwrite(file->Get(), "C", 1, 0), -1);
}

TEST(CoarseSteadyNow, IsOfTheSteadyClock) {
  const SteadyTime before = std::chrono::steady_clock::now();
  const SteadyTime coarse = CoarseSteadyNow();
  const SteadyTime after = std::chrono::steady_clock::now();
  EXPECT_LE(coarse, after);
  EXPECT_GE(coarse, before - seconds(1)) << "a tick is far shorter";
}

TEST(FormatRfc3339, KeepsItsFormForYearsThatItCannotWrite) {
  EXPECT_EQ(FormatRfc3339(std::chrono::sys_days{std::chrono::March / 4 / -7}), "0000-03-04T00:00:00.000Z");
  EXPECT_EQ(FormatRfc3339(std::chrono::sys_days{std::chrono::March / 4 / 12345}), "9999-03-04T00:00:00.000Z");
}

TEST(ParseRfc3339, ReadsWhatFormatRfc3339Writes) {
  for (const auto time : {WallTime(milliseconds(0)), WallTime(milliseconds(1'700'000'000'123)),
                          WallTime(std::chrono::sys_days(std::chrono::February / 29 / 2028))}) {
    EXPECT_EQ(ParseRfc3339(FormatRfc3339(time)), time);
  }
  for (const char* text : {"", "2026-03-04", "2026-03-04T05:06:07Z", "2026-03-04T05:06:07.008+",
                           "2026-02-29T05:06:07.008Z", "2026-13-04T05:06:07.008Z", "2026-00-04T05:06:07.008Z",
                           "2026-03-04T24:06:07.008Z", "2026-03-04T05:60:07.008Z", "2026-03-04T05:06:60.008Z",
                           "2026-03-04 05:06:07.008Z", "2026-03-04T05:06:07.00xZ", "2026-03-04T05:06:07.0081Z"}) {
    EXPECT_FALSE(ParseRfc3339(text)) << text;
  }
}

TEST(EscapeJson, EscapesControlsAndQuotesAndKeepsUtf8) {
  EXPECT_EQ(EscapeJson("a\"b\\c\n\x01z"), "a\\\"b\\\\c\\n\\u0001z");
  EXPECT_EQ(EscapeJson("gr\xC3\xBC\xC3\x9F"), "gr\xC3\xBC\xC3\x9F");
}

TEST(EscapeJson, KeepsPlainTextAroundWhatIsEscaped) {
  EXPECT_EQ(EscapeJson(""), "");
  EXPECT_EQ(EscapeJson("plain ~ text"), "plain ~ text");
  EXPECT_EQ(EscapeJson("\"before\x7F"
                       "after\\"),
            "\\\"before\\u007fafter\\\\");
  EXPECT_EQ(EscapeJson("a\xC3\xBC"
                       "b\xFF"
                       "c"),
            "a\xC3\xBC"
            "b\\ufffdc");
}

TEST(EscapeJson, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(EscapeJson("\xFF"), "\\ufffd");
  EXPECT_EQ(EscapeJson("\xC0\xAF"), "\\ufffd\\ufffd") << "overlong";
  EXPECT_EQ(EscapeJson("\xED\xA0\x80"), "\\ufffd\\ufffd\\ufffd") << "surrogate";
  EXPECT_EQ(EscapeJson("\xE2\x82"), "\\ufffd\\ufffd") << "cut off";
}

TEST(Seqpacket, CarriesBytesAndDescriptors) {
  auto pair = MakeSeqpacketPair();
  ASSERT_TRUE(pair);
  UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int fds[] = {file.Get()};
  ASSERT_TRUE(SendPacket(pair->first.Get(), AsBytes("hello"), fds));
  auto packet = ReceivePacket(pair->second.Get());
  ASSERT_TRUE(packet);
  EXPECT_EQ(AsText(packet->bytes), "hello");
  ASSERT_EQ(packet->fds.size(), 1u);
  EXPECT_TRUE(::fcntl(packet->fds[0].Get(), F_GETFD) & FD_CLOEXEC);
}

TEST(Seqpacket, SaysThatThePeerIsGone) {
  auto pair = MakeSeqpacketPair();
  ASSERT_TRUE(pair);
  pair->first.Reset();
  EXPECT_EQ(ReceivePacket(pair->second.Get()).error().code, Errc::kDisconnected);
  EXPECT_EQ(SendPacket(pair->second.Get(), AsBytes("x")).error().code, Errc::kDisconnected);
}

TEST(Seqpacket, RefusesMoreDescriptorsThanAgreed) {
  auto pair = MakeSeqpacketPair();
  ASSERT_TRUE(pair);
  const std::vector<int> fds(kMaxPacketFds + 1, pair->first.Get());
  EXPECT_EQ(SendPacket(pair->first.Get(), AsBytes("x"), fds).error().code, Errc::kTooLarge);
  EXPECT_TRUE(SendPacket(pair->first.Get(), AsBytes("x"), std::span(fds).first(kMaxPacketFds)));
}

}  // namespace
}  // namespace lazaret
