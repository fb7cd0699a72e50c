#include "core/verdict_encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "core/verdict_samples.h"

namespace lazaret {
namespace {

using testing::HasSubstr;

const Digest kContent = SampleDigest(7);

void ExpectRoundTrip(const Verdict& verdict) {
  const std::string bytes = EncodeVerdict(kContent, verdict);
  const auto decoded = DecodeVerdict(kContent, AsBytes(bytes));
  ASSERT_TRUE(decoded) << decoded.error().what;
  ExpectSame(**decoded, verdict);
  EXPECT_EQ(EncodeVerdict(kContent, **decoded), bytes);
}

// One of each kind, with every optional field there and missing.
std::vector<Verdict> Samples() {
  const FakeClock clock;
  EngineInfo bare = SampleEngine();
  bare.name = bare.version = bare.signature_label = "";
  bare.built_at = std::nullopt;
  bare.signatures = 0;
  bare.test_set = true;
  return {Verdict::Clean(SampleRecord(clock)),
          Verdict::Infected(SampleRecord(clock), {"Win.Test-1", "", "Unix.Test-2"}),
          Verdict::Unscannable(SampleRecord(clock, bare), Reason::kEncrypted, "a \"page\"\n"),
          Verdict::Unscannable(SampleRecord(clock), Reason::kContentLost, "")};
}

TEST(VerdictEncoding, RoundTripsEveryKind) {
  for (const Verdict& verdict : Samples()) ExpectRoundTrip(verdict);
}

TEST(VerdictEncoding, RoundTripsEveryReason) {
  for (int number = 1; number <= static_cast<int>(Reason::kOverridden); ++number) {
    ExpectRoundTrip(Verdict::Unscannable(SampleRecord(FakeClock()), static_cast<Reason>(number), "why"));
  }
}

TEST(VerdictEncoding, RoundTripsEveryByteOfTexts) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  EngineInfo engine = SampleEngine();
  engine.name = every_byte;
  engine.version = every_byte + every_byte;
  engine.signature_label = "x" + every_byte;
  const ScanRecord record = SampleRecord(FakeClock(), engine);
  ExpectRoundTrip(Verdict::Infected(record, {every_byte, "", "," + every_byte}));
  ExpectRoundTrip(Verdict::Infected(record, std::vector<std::string>(500, "Same.Name")));
  ExpectRoundTrip(Verdict::Unscannable(record, Reason::kTimeout, every_byte));
}

TEST(VerdictEncoding, RoundTripsEveryNumber) {
  ScanRecord record = SampleRecord(FakeClock());
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1} << 32, std::numeric_limits<std::uint64_t>::max()}) {
    record.size = size;
    ExpectRoundTrip(Verdict::Clean(record));
  }
  for (const double time : {0.0, -0.0, 1.0 / 3, 1e300, std::numeric_limits<double>::infinity()}) {
    record.scan_ms = time;
    ExpectRoundTrip(Verdict::Clean(record));
  }
  for (const std::int64_t time : {std::int64_t{-1}, std::int64_t{0}, std::numeric_limits<std::int64_t>::min()}) {
    EngineInfo engine = SampleEngine();
    engine.built_at = WallTime(milliseconds(time));
    record = SampleRecord(FakeClock(), engine);
    record.scanned_at = WallTime(milliseconds(time));
    ExpectRoundTrip(Verdict::Clean(record));
  }
}

TEST(VerdictEncoding, KeepsNothingOfTheEngineThatRunsNow) {
  EngineInfo engine = SampleEngine();
  const std::string bytes = EncodeVerdict(kContent, Verdict::Clean(SampleRecord(FakeClock(), engine)));
  engine.databases.push_back({"daily", 28129, WallTime{}});
  engine.isolation.push_back("seccomp");
  EXPECT_EQ(EncodeVerdict(kContent, Verdict::Clean(SampleRecord(FakeClock(), engine))), bytes);
}

void ExpectCorrupt(const Digest& content, std::string_view bytes) {
  const auto decoded = DecodeVerdict(content, AsBytes(bytes));
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Errc::kCorrupt);
  EXPECT_THAT(decoded.error().what, HasSubstr(content.Hex()));
}

TEST(VerdictEncoding, AnotherContentsVerdictIsCorrupt) {
  for (const Verdict& verdict : Samples()) ExpectCorrupt(SampleDigest(8), EncodeVerdict(kContent, verdict));
}

TEST(VerdictEncoding, EveryTruncationIsCorrupt) {
  for (const Verdict& verdict : Samples()) {
    const std::string bytes = EncodeVerdict(kContent, verdict);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      ExpectCorrupt(kContent, bytes.substr(0, size));
      ExpectCorrupt(kContent, bytes.substr(bytes.size() - size));
    }
    ExpectCorrupt(kContent, bytes + '\0');
  }
}

TEST(VerdictEncoding, EveryFlippedBitIsCorrupt) {
  for (const Verdict& verdict : Samples()) {
    std::string bytes = EncodeVerdict(kContent, verdict);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
        ExpectCorrupt(kContent, bytes);
        bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      }
    }
  }
}

// The check as the header promises it.
std::string WithRightCheck(std::string fields) {
  Sha256 hasher;
  hasher.Update(AsBytes(fields).first(1));
  hasher.Update(kContent.AsSpan());
  hasher.Update(AsBytes(fields).subspan(1));
  fields += AsText(hasher.Finish().AsSpan().first(8));
  return fields;
}

TEST(VerdictEncoding, ARightCheckDoesNotMakeOddFieldsRight) {
  const std::string whole = EncodeVerdict(kContent, Samples()[1]);
  const std::string fields = whole.substr(0, whole.size() - 8);
  ASSERT_EQ(WithRightCheck(fields), whole);
  for (std::size_t size = 1; size < fields.size(); ++size)
    ExpectCorrupt(kContent, WithRightCheck(fields.substr(0, size)));
  ExpectCorrupt(kContent, WithRightCheck(fields + '\0'));
  const auto edited = [&](std::size_t at, char value) {
    std::string copy = fields;
    copy[at] = value;
    return WithRightCheck(copy);
  };
  const auto newer = DecodeVerdict(kContent, AsBytes(edited(0, 2)));
  ASSERT_FALSE(newer);
  EXPECT_THAT(newer.error().what, HasSubstr("format 2, this Lazaret knows only 1"));
  ExpectCorrupt(kContent, edited(1, 0));                  // no kind
  ExpectCorrupt(kContent, edited(1, 1));                  // clean with signatures
  ExpectCorrupt(kContent, edited(1, 3));                  // unscannable without a reason
  ExpectCorrupt(kContent, edited(1, 4));                  // no kind
  ExpectCorrupt(kContent, edited(2, 1));                  // infected with a reason
  ExpectCorrupt(kContent, edited(6, '\xFF'));             // far too many signatures
  ExpectCorrupt(kContent, edited(fields.size() - 1, 2));  // the test set's flag
}

}  // namespace
}  // namespace lazaret
