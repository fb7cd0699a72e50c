#include "http/scan_json.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gtest/gtest.h>

#include <limits>

namespace lazaret::http {
namespace {

EngineInfoPtr Engine() {
  return std::make_shared<const EngineInfo>(EngineInfo{.signature_set = Sha256::Of({}),
                                                       .profile = Sha256::Of({}),
                                                       .name = "ClamAV",
                                                       .version = "1.4.6",
                                                       .signature_label = "daily 1, 3d1f0a2b",
                                                       .built_at = WallTime(seconds(1700000000)),
                                                       .databases = {},
                                                       .isolation = {}});
}

ScanRecord Record() { return {Engine(), 68, WallTime(milliseconds(1700000000123)), 12.34}; }

boost::json::object Render(Verdict verdict, std::string_view name = "") {
  const Answer answer{std::make_shared<const Verdict>(std::move(verdict)), true, false};
  return boost::json::parse(ScanJson(Sha256::Of(AsBytes("x")), name, answer)).as_object();
}

TEST(ScanJson, ShowsAnInfectedContent) {
  const auto json = Render(Verdict::Infected(Record(), {"Win.Test.EICAR_HDB-1", "odd\"name"}), "invoice.pdf");
  EXPECT_EQ(json.at("id"), Sha256::Of(AsBytes("x")).Hex().c_str());
  EXPECT_EQ(json.at("status"), "done");
  EXPECT_EQ(json.at("verdict"), "infected");
  EXPECT_EQ(json.at("signatures").as_array().at(1), "odd\"name");
  EXPECT_EQ(json.at("name"), "invoice.pdf");
  EXPECT_EQ(json.at("size"), 68);
  EXPECT_EQ(json.at("cached"), true);
  EXPECT_EQ(json.at("fresh"), false);
  EXPECT_EQ(json.at("scanned_at"), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(json.at("scan_ms"), 12.3);
  EXPECT_EQ(json.at("engine").at("signature_set"), "daily 1, 3d1f0a2b");
  EXPECT_EQ(json.at("engine").at("built_at"), "2023-11-14T22:13:20.000Z");
  EXPECT_FALSE(json.contains("reason"));
}

TEST(ScanJson, NamesTheEngineOfEachVerdict) {
  const auto set_of = [](const EngineInfoPtr& engine) {
    return std::string(
        Render(Verdict::Clean({engine, 68, WallTime(seconds(0)), 1})).at("engine").at("signature_set").as_string());
  };
  EngineInfo other = *Engine();
  other.signature_label = "daily 2";
  const auto newer = std::make_shared<const EngineInfo>(other);
  const EngineInfoPtr older = Engine();
  EXPECT_EQ(set_of(older), "daily 1, 3d1f0a2b");
  EXPECT_EQ(set_of(newer), "daily 2");
  EXPECT_EQ(set_of(older), "daily 1, 3d1f0a2b");
}

TEST(ScanJson, WritesTheTimeWithOneDecimal) {
  const auto time = [](double scan_ms) {
    return Render(Verdict::Clean({Engine(), 68, WallTime(seconds(0)), scan_ms})).at("scan_ms").as_double();
  };
  EXPECT_EQ(time(0), 0.0);
  EXPECT_EQ(time(0.04), 0.0);
  EXPECT_EQ(time(0.96), 1.0);
  EXPECT_EQ(time(7.08), 7.1);
  EXPECT_EQ(time(123'456.78), 123'456.8);
  EXPECT_EQ(time(std::numeric_limits<double>::quiet_NaN()), 0.0) << "JSON has no such number";
  EXPECT_EQ(time(-1), 0.0);
}

TEST(ScanJson, HasAReasonExactlyWhenUnscannable) {
  const auto json = Render(Verdict::Unscannable(Record(), Reason::kEncrypted, "Heuristics.Encrypted.Zip"));
  EXPECT_EQ(json.at("verdict"), "unscannable");
  EXPECT_EQ(json.at("reason"), "encrypted");
  EXPECT_EQ(json.at("detail"), "Heuristics.Encrypted.Zip");
  EXPECT_FALSE(Render(Verdict::Clean(Record())).contains("reason"));
  EXPECT_FALSE(Render(Verdict::Clean(Record())).contains("name"));
}

TEST(ScanJson, HasAVerdictExactlyWhenDone) {
  for (const ScanStatus status : {ScanStatus::kUnknown, ScanStatus::kQueued, ScanStatus::kScanning}) {
    const auto json = boost::json::parse(ScanJson(Sha256::Of({}), "", ScanState{status, {}})).as_object();
    EXPECT_FALSE(json.contains("verdict"));
    EXPECT_NE(json.at("status"), "done");
  }
}

TEST(ScanJson, ShowsAJobThatIsNotDone) {
  const ScanState state{.status = ScanStatus::kQueued,
                        .answer = {},
                        .size = 7,
                        .submitted_at = WallTime(milliseconds(1'700'000'000'123))};
  const auto json = boost::json::parse(ScanJson(Sha256::Of({}), "n", state)).as_object();
  EXPECT_EQ(json.at("size"), 7);
  EXPECT_EQ(json.at("submitted_at"), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(json.at("name"), "n");
}

TEST(ScanJson, MarksDeadLetters) {
  ScanState state{ScanStatus::kDone, Answer{std::make_shared<const Verdict>(Verdict::Clean(Record())), true, true}};
  EXPECT_FALSE(boost::json::parse(ScanJson(Sha256::Of({}), "", state)).as_object().contains("dead_letter"));
  state.dead_letter = true;
  EXPECT_EQ(boost::json::parse(ScanJson(Sha256::Of({}), "", state)).at("dead_letter"), true);
}

}  // namespace
}  // namespace lazaret::http
