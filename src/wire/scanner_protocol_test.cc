#include "wire/scanner_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/seqpacket.h"

namespace lazaret::wire {
namespace {

using ::testing::HasSubstr;

// One of each, every field with a value of its own and the numbers at an edge of their range.
LoadRequest SomeLoadRequest() {
  return {"/signatures", "/tmp/\xC3\xBC", "",    8,    1, 2, 3, std::numeric_limits<std::uint64_t>::max(), 5, 6, true,
          true,          false,           false, false};
}
ForkRequest SomeForkRequest() { return {std::numeric_limits<std::uint32_t>::max()}; }
Ready SomeReady() {
  return {"1.4.6", 210,
          3627000, {{"daily", 28129, 2, std::numeric_limits<std::int64_t>::min()}, {"main", 63, 3, -1}},
          {"rar"}, {"seccomp", "landlock"},
          {},      {"old"},
          7};
}
Failed SomeFailed() { return {"no signatures", true}; }
Forked SomeForked() { return {3, std::numeric_limits<std::int32_t>::max()}; }
ForkFailed SomeForkFailed() { return {4, "out of memory"}; }
Exited SomeExited() { return {5, 6, std::numeric_limits<std::int32_t>::min()}; }
ScanRequest SomeScanRequest() { return {7, std::numeric_limits<std::uint64_t>::max(), 8}; }
Outcome Clean() { return {9, 10, OutcomeKind::kClean, OutcomeReason::kNone, {}, "", 11}; }
Outcome Infected() { return {9, 10, OutcomeKind::kInfected, OutcomeReason::kNone, {"Test.A", "Test.B"}, "detail", 11}; }
Outcome Incomplete() { return {9, 10, OutcomeKind::kIncomplete, OutcomeReason::kEncrypted, {}, "detail", 11}; }

std::vector<std::vector<std::byte>> OneOfEach() {
  return {Encode(SomeLoadRequest()), Encode(SomeForkRequest()), Encode(SomeReady()),  Encode(SomeFailed()),
          Encode(SomeForked()),      Encode(SomeForkFailed()),  Encode(SomeExited()), Encode(SomeScanRequest()),
          Encode(Clean()),           Encode(Infected()),        Encode(Incomplete())};
}

// How many of the four decoders take `message`.
int Takers(Bytes message) {
  return DecodeToZygote(message).has_value() + DecodeFromZygote(message).has_value() +
         DecodeScanRequest(message).has_value() + DecodeOutcome(message).has_value();
}

TEST(ScannerProtocol, RoundTripsEveryMessage) {
  EXPECT_EQ(std::get<LoadRequest>(*DecodeToZygote(Encode(SomeLoadRequest()))), SomeLoadRequest());
  EXPECT_EQ(std::get<ForkRequest>(*DecodeToZygote(Encode(SomeForkRequest()))), SomeForkRequest());
  EXPECT_EQ(std::get<Ready>(*DecodeFromZygote(Encode(SomeReady()))), SomeReady());
  EXPECT_EQ(std::get<Failed>(*DecodeFromZygote(Encode(SomeFailed()))), SomeFailed());
  EXPECT_EQ(std::get<Forked>(*DecodeFromZygote(Encode(SomeForked()))), SomeForked());
  EXPECT_EQ(std::get<ForkFailed>(*DecodeFromZygote(Encode(SomeForkFailed()))), SomeForkFailed());
  EXPECT_EQ(std::get<Exited>(*DecodeFromZygote(Encode(SomeExited()))), SomeExited());
  EXPECT_EQ(*DecodeScanRequest(Encode(SomeScanRequest())), SomeScanRequest());
  EXPECT_EQ(*DecodeOutcome(Encode(Clean())), Clean());
  EXPECT_EQ(*DecodeOutcome(Encode(Infected())), Infected());
  EXPECT_EQ(*DecodeOutcome(Encode(Incomplete())), Incomplete());
}

TEST(ScannerProtocol, WritesWhatTheHeaderSays) {
  const std::vector<std::byte> bytes = Encode(ForkFailed{0x01020304, "ab"});
  EXPECT_EQ(AsText(bytes), std::string_view("\x06\x04\x03\x02\x01\x02\0\0\0ab", 11));
}

TEST(ScannerProtocol, HasOneDecoderForEachMessage) {
  for (const auto& message : OneOfEach()) EXPECT_EQ(Takers(message), 1) << static_cast<int>(message[0]);
}

TEST(ScannerProtocol, RefusesEveryTruncationAndEveryTrailingByte) {
  for (const auto& message : OneOfEach()) {
    for (std::size_t length = 0; length < message.size(); ++length) {
      EXPECT_EQ(Takers(std::span(message).first(length)), 0) << static_cast<int>(message[0]) << " cut at " << length;
    }
    for (int byte = 0; byte < 256; ++byte) {
      auto longer = message;
      longer.push_back(static_cast<std::byte>(byte));
      EXPECT_EQ(Takers(longer), 0) << static_cast<int>(message[0]) << " with a trailing " << byte;
    }
  }
}

TEST(ScannerProtocol, RefusesUnknownTypes) {
  for (int type = 0; type < 256; ++type) {
    auto message = Encode(SomeForkRequest());
    message[0] = static_cast<std::byte>(type);
    EXPECT_EQ(Takers(message), type == 2 ? 1 : 0) << type;
  }
}

TEST(ScannerProtocol, SaysWhatItRefuses) {
  EXPECT_THAT(DecodeToZygote({}).error().what, HasSubstr("not a message of the scanner protocol"));
  EXPECT_THAT(DecodeFromZygote(Encode(Clean())).error().what, HasSubstr("not a message of the scanner protocol"));
  EXPECT_THAT(DecodeScanRequest(Encode(Clean())).error().what, HasSubstr("not a scan request"));
  EXPECT_THAT(DecodeOutcome(Encode(SomeForked())).error().what, HasSubstr("not a consistent outcome"));
  EXPECT_EQ(DecodeOutcome({}).error().code, Errc::kMalformed);
}

TEST(ScannerProtocol, RefusesInconsistentOutcomes) {
  struct Case {
    OutcomeKind kind;
    OutcomeReason reason;
    std::vector<std::string> signatures;
    bool good;
  };
  const Case cases[] = {
      {OutcomeKind::kClean, OutcomeReason::kNone, {}, true},
      {OutcomeKind::kClean, OutcomeReason::kTimeout, {}, false},
      {OutcomeKind::kClean, OutcomeReason::kNone, {"Test.A"}, false},
      {OutcomeKind::kInfected, OutcomeReason::kNone, {"Test.A"}, true},
      {OutcomeKind::kInfected, OutcomeReason::kNone, {}, false},
      {OutcomeKind::kInfected, OutcomeReason::kNone, {""}, false},
      {OutcomeKind::kInfected, OutcomeReason::kNone, {"Test.A", ""}, false},
      {OutcomeKind::kInfected, OutcomeReason::kEncrypted, {"Test.A"}, false},
      {OutcomeKind::kIncomplete, OutcomeReason::kEngineError, {}, true},
      {OutcomeKind::kIncomplete, OutcomeReason::kNone, {}, false},
      {OutcomeKind::kIncomplete, OutcomeReason::kTimeout, {"Test.A"}, false},
      {static_cast<OutcomeKind>(0), OutcomeReason::kNone, {}, false},
      {static_cast<OutcomeKind>(4), OutcomeReason::kNone, {}, false},
      {OutcomeKind::kIncomplete, static_cast<OutcomeReason>(7), {}, false},
      {OutcomeKind::kIncomplete, static_cast<OutcomeReason>(255), {}, false},
  };
  for (const Case& c : cases) {
    const Outcome outcome{1, 2, c.kind, c.reason, c.signatures, "", 3};
    EXPECT_EQ(DecodeOutcome(Encode(outcome)).has_value(), c.good)
        << static_cast<int>(c.kind) << ' ' << static_cast<int>(c.reason) << ' ' << c.signatures.size();
  }
}

TEST(ScannerProtocol, RefusesBooleansBeyondOne) {
  auto message = Encode(SomeLoadRequest());
  ASSERT_EQ(message.back(), std::byte{0});
  message.back() = std::byte{1};
  EXPECT_TRUE(DecodeToZygote(message));
  message.back() = std::byte{2};
  EXPECT_FALSE(DecodeToZygote(message));
}

TEST(ScannerProtocol, BoundsText) {
  const std::string longest(kMaxProtocolText, 'x');
  EXPECT_EQ(std::get<Failed>(*DecodeFromZygote(Encode(Failed{longest}))).what, longest);
  EXPECT_EQ(std::get<Failed>(*DecodeFromZygote(Encode(Failed{longest + "y"}))).what, longest) << "Encode cuts";

  auto message = Encode(Failed{longest});
  message.push_back(std::byte{'y'});
  message[1] = std::byte{1};  // the length was 0x1000, little-endian
  EXPECT_FALSE(DecodeFromZygote(message)) << "Decode refuses";
}

TEST(ScannerProtocol, BoundsLists) {
  Outcome outcome = Infected();
  outcome.signatures.assign(kMaxProtocolItems, "A");
  EXPECT_EQ(*DecodeOutcome(Encode(outcome)), outcome);
  auto message = Encode(outcome);
  outcome.signatures.push_back("B");
  const auto cut = DecodeOutcome(Encode(outcome));
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->signatures, std::vector<std::string>(kMaxProtocolItems, "A")) << "Encode cuts";

  const std::size_t count_at = 1 + 8 + 8 + 1 + 1;  // type, number, size, kind, reason
  ASSERT_EQ(message[count_at + 1], std::byte{1});  // the count was 0x100, little-endian
  message[count_at] = std::byte{1};
  const auto item = std::as_bytes(std::span("\x01\0\0\0B", 5));
  message.insert(message.begin() + count_at + 4, item.begin(), item.end());
  EXPECT_FALSE(DecodeOutcome(message)) << "Decode refuses";
}

TEST(ScannerProtocol, CutsWhatWouldOutgrowADatagram) {
  const std::string longest(kMaxProtocolText, 'x');
  const std::vector<std::string> list(kMaxProtocolItems + 1, longest);
  const std::vector<DatabaseInfo> databases(kMaxProtocolItems + 1, DatabaseInfo{longest, 1, 2, 3});

  Ready ready = SomeReady();
  ready.databases = databases;
  ready.features = ready.sandbox = ready.warnings = list;
  const auto ready_bytes = Encode(ready);
  EXPECT_LE(ready_bytes.size(), kMaxPacketBytes);
  const auto ready_back = DecodeFromZygote(ready_bytes);
  ASSERT_TRUE(ready_back);
  EXPECT_EQ(std::get<Ready>(*ready_back).load_ms, ready.load_ms);
  EXPECT_EQ(std::get<Ready>(*ready_back).databases[0], databases[0]);

  Outcome outcome = Infected();
  outcome.signatures = list;
  outcome.detail = longest;
  const auto outcome_bytes = Encode(outcome);
  EXPECT_LE(outcome_bytes.size(), kMaxPacketBytes);
  const auto outcome_back = DecodeOutcome(outcome_bytes);
  ASSERT_TRUE(outcome_back) << "an infection must not be lost because it has many names";
  EXPECT_EQ(outcome_back->kind, OutcomeKind::kInfected);
  EXPECT_EQ(outcome_back->scan_us, outcome.scan_us);
  EXPECT_GE(outcome_back->signatures.size(), 12u);
  EXPECT_EQ(outcome_back->signatures[0], longest);

  Outcome names = Infected();
  names.signatures.assign(kMaxProtocolItems, std::string(200, 'n'));
  names.detail = std::string(500, 'd');
  EXPECT_EQ(*DecodeOutcome(Encode(names)), names) << "real names fit";
}

TEST(ScannerProtocol, RefusesMoreThanEncodeWouldHaveWritten) {
  Outcome outcome = Infected();
  outcome.signatures.assign(12, std::string(kMaxProtocolText, 'n'));
  outcome.detail = std::string(kMaxProtocolText, 'd');
  auto message = Encode(outcome);
  const std::size_t kept = DecodeOutcome(message)->detail.size();
  ASSERT_GT(kept, 0u);
  ASSERT_LT(kept, kMaxProtocolText) << "the message is full";

  const std::size_t detail_at = message.size() - sizeof outcome.scan_us - kept;
  message.insert(message.begin() + static_cast<std::ptrdiff_t>(detail_at), std::byte{'d'});
  for (std::size_t i = 0; i < 4; ++i) message[detail_at - 4 + i] = static_cast<std::byte>((kept + 1) >> (8 * i) & 0xFF);
  EXPECT_FALSE(DecodeOutcome(message));
}

}  // namespace
}  // namespace lazaret::wire
