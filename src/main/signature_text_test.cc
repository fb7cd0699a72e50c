#include "main/signature_text.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/verdict_samples.h"
#include "main/signature_json.h"

namespace lazaret {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const WallTime kNow = WallTime(seconds(1'767'225'600));

clamav::SetSummary Set(std::size_t number, std::string label) {
  return {.digest = SampleDigest(number),
          .label = std::move(label),
          .signatures = 100 * number,
          .built_at = kNow - std::chrono::hours(48),
          .loaded_at = kNow - seconds(90),
          .files_at = kNow - std::chrono::hours(24),
          .databases = {{"daily", 2, kNow - std::chrono::hours(48)}}};
}

boost::json::object Json(const std::string& text) { return boost::json::parse(text).as_object(); }

TEST(SignatureText, ShowsAllThatThereIs) {
  clamav::SignatureStatus status;
  status.directory = "/s \"x\"";
  status.engine = std::make_shared<const EngineInfo>(SampleEngine());
  status.current = Set(1, "daily 2");
  status.previous = Set(2, "daily 1");
  status.load_errors = {"a line is \x1B bad"};
  status.candidate = clamav::CandidateStatus{SampleDigest(3), clamav::LoadPhase::kProbing, kNow - seconds(9),
                                             kNow - seconds(3), milliseconds(1500)};
  status.last_refusal = clamav::RefusedSet{
      SampleDigest(4), {clamav::RefusalKind::kDoesNotLoad, "Malformed database"}, kNow - seconds(60), kNow};
  status.pin = clamav::SignaturePin{SampleDigest(5), "daily 3", "false alarms", kNow - seconds(7200)};
  status.last_jump = clamav::DetectionJump{SampleDigest(5), 1000, 1, 200, 50, kNow - seconds(7201), true};
  status.last_mode = "beside";
  const auto json = Json(SignatureJson(status, OldSignatures{false, "older than they may be"}, kNow));
  EXPECT_EQ(json.at("directory"), "/s \"x\"");
  EXPECT_EQ(json.at("in_use"), true);
  EXPECT_EQ(json.at("mode"), "beside");
  EXPECT_EQ(json.at("current").at("digest"), SampleDigest(1).Hex().c_str());
  EXPECT_EQ(json.at("current").at("age_s"), 2 * 86400);
  EXPECT_EQ(json.at("current").at("databases").at(0).at("version"), 2);
  EXPECT_EQ(json.at("warning"), "older than they may be");
  EXPECT_EQ(json.at("previous").at("label"), "daily 1");
  EXPECT_EQ(json.at("candidate").at("phase"), "probing");
  EXPECT_EQ(json.at("candidate").at("expected_load_ms"), 1500);
  EXPECT_EQ(json.at("refused").at("kind"), "does-not-load");
  EXPECT_EQ(json.at("refused").at("retry_at"), FormatRfc3339(kNow).c_str());
  EXPECT_EQ(json.at("pin").at("reason"), "false alarms");
  EXPECT_EQ(json.at("jump").at("rolled_back"), true);
  EXPECT_TRUE(json.at("looked_at").is_null());
  const std::string text = SignatureStatusText(json, kNow);
  EXPECT_THAT(text, HasSubstr("in use        daily 2: 100 signatures, built 2d ago, loaded 1m ago\n"));
  EXPECT_THAT(text, HasSubstr("before        daily 1: "));
  EXPECT_THAT(text, HasSubstr("candidate     probing for 3s\n"));
  EXPECT_THAT(text, HasSubstr("rolled back   daily 3, 2h ago: false alarms\n"));
  EXPECT_THAT(text, HasSubstr("50 of 200 contents detected, 1 of 1000 before"));
  EXPECT_THAT(text, HasSubstr("does-not-load " + SampleDigest(4).Hex().substr(0, 8) + ", 1m ago: Malformed database"));
  EXPECT_THAT(text, HasSubstr("load error    a line is ? bad\n"));
}

TEST(SignatureText, ShowsTheAgeOfFilesAndWhoseTurnItIs) {
  clamav::SignatureStatus status;
  status.directory = "/s";
  status.current = Set(1, "0a2b");
  status.current->built_at.reset();
  status.candidate = clamav::CandidateStatus{SampleDigest(3), clamav::LoadPhase::kWaitingForTurn, kNow - seconds(9),
                                             kNow - seconds(3)};
  status.candidate->waits_for = "web2";
  auto json = Json(SignatureJson(status, {}, kNow));
  EXPECT_EQ(json.at("current").at("age_s"), 86400);
  EXPECT_EQ(json.at("candidate").at("waits_for"), "web2");
  const std::string text = SignatureStatusText(json, kNow);
  EXPECT_THAT(text, HasSubstr("0a2b: 100 signatures, files of 1d ago, loaded 1m ago\n"));
  EXPECT_THAT(text, HasSubstr("candidate     waiting-for-turn for 3s: now it is that of web2\n"));
  status.directory.clear();
  EXPECT_TRUE(Json(SignatureJson(status, {}, kNow)).at("current").at("age_s").is_null()) << "the built-in test set";
}

TEST(SignatureText, ShowsThatThereIsNothing) {
  const auto json = Json(SignatureJson({}, {}, kNow));
  for (const char* key : {"current", "previous", "candidate", "refused", "pin", "jump", "looked_at", "warning"}) {
    EXPECT_TRUE(json.at(key).is_null()) << key;
  }
  const std::string text = SignatureStatusText(json, kNow);
  EXPECT_THAT(text, AllOf(HasSubstr("built-in test set"), HasSubstr("NONE"), Not(HasSubstr("refused"))));
}

TEST(SignatureText, SaysWhatACheckFound) {
  clamav::SignatureCheck check{.digest = SampleDigest(1), .files = 2, .bytes = 1536, .refusal = {}, .engine = nullptr};
  check.engine = std::make_shared<const EngineInfo>(SampleEngine());
  check.load_ms = 2500;
  check.finds_eicar = true;
  check.warnings = {"no sandbox"};
  const auto good = Json(SignatureCheckJson("/new", check));
  EXPECT_EQ(good.at("usable"), true);
  EXPECT_TRUE(good.at("refused").is_null());
  EXPECT_THAT(SignatureCheckText(good, kNow),
              AllOf(HasSubstr("files         2, 1.5KiB\n"), HasSubstr("loaded in     2.5s\n"),
                    HasSubstr("EICAR         found\n"), HasSubstr("warning       no sandbox\n"),
                    HasSubstr("verdict       can be used\n")));
  check.refusal = clamav::Refusal{clamav::RefusalKind::kMatchesClean, "a clean PDF is detected"};
  check.engine = nullptr;
  const auto bad = Json(SignatureCheckJson("/new", check));
  EXPECT_EQ(bad.at("usable"), false);
  EXPECT_THAT(
      SignatureCheckText(bad, kNow),
      AllOf(HasSubstr("verdict       refused: matches-clean: a clean PDF is detected\n"), Not(HasSubstr("EICAR"))));
  const auto none = Json(SignatureCheckJson("/new", Fail(Errc::kNotFound, "there are no signatures in /new")));
  EXPECT_EQ(none.at("refused").at("kind"), "empty");
  EXPECT_FALSE(none.contains("digest"));
}

}  // namespace
}  // namespace lazaret
