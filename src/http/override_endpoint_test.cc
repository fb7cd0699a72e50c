#include "http/override_endpoint.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/override_samples.h"
#include "http/control_api.h"
#include "http/sample_exchange.h"
#include "http/sample_jobs.h"
#include "http/sample_overrides.h"
#include "http/scan_json.h"

namespace lazaret::http {
namespace {

using testing::HasSubstr;

class OverrideEndpointTest : public testing::Test {
 protected:
  Response Ask(std::string_view method, const std::string& path, std::string_view query = {}) {
    return SampleExchange(method, path, query).Answer(api_);
  }
  boost::json::object Json(std::string_view method, const std::string& path, std::string_view query = {}) {
    const Response response = Ask(method, path, query);
    EXPECT_EQ(response.status, 200) << response.body;
    return boost::json::parse(response.body).as_object();
  }
  static std::string Path(std::size_t number) { return "/v1/overrides/" + SampleDigest(number).Hex(); }
  static std::string Slug(const Response& response) {
    const std::string type = boost::json::parse(response.body).at("type").as_string().c_str();
    return std::to_string(response.status) + " " + type.substr(type.rfind(':') + 1);
  }

  SampleJobs jobs_;
  FakeClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  Telemetry telemetry_;
  OverrideBoard board_{clock_, log_};
  SampleOverrides store_{board_};
  ControlApi api_{jobs_, {.store = store_, .board = board_, .node = "web1"}, {}, clock_, log_, telemetry_};
};

TEST(ParseOverrideOrder, KnowsWhatCanBeSaid) {
  const FakeClock clock;
  const WallTime now = clock.Now();
  const auto clean = ParseOverrideOrder("verdict=clean&reason=a%20b", now);
  ASSERT_TRUE(clean) << clean.error().what;
  EXPECT_EQ(clean->kind, VerdictKind::kClean);
  EXPECT_EQ(clean->signature, "");
  EXPECT_EQ(clean->reason, "a b");
  EXPECT_FALSE(clean->until);
  EXPECT_EQ(ParseOverrideOrder("verdict=infected&reason=x", now)->signature, kOverrideSignature);
  EXPECT_EQ(ParseOverrideOrder("verdict=infected&reason=x&signature=A.B", now)->signature, "A.B");
  EXPECT_EQ(ParseOverrideOrder("verdict=clean&for_ms=1", now)->until, now + milliseconds(1));
  EXPECT_EQ(ParseOverrideOrder("verdict=clean&for_ms=315360000000", now)->until, now + std::chrono::days(3650));
  EXPECT_EQ(ParseOverrideOrder("verdict=clean&until=" + FormatRfc3339(now + milliseconds(1)), now)->until,
            now + milliseconds(1));
  for (const std::string& query :
       {std::string(), std::string("verdict=unscannable"), std::string("verdict="), std::string("verdict=clean&x=1"),
        std::string("verdict=clean&verdict=clean"), std::string("verdict=clean&for_ms=0"),
        std::string("verdict=clean&for_ms=315360000001"), std::string("verdict=clean&for_ms=1x"),
        std::string("verdict=clean&until=2h"), "verdict=clean&until=" + FormatRfc3339(now),
        "verdict=clean&for_ms=5&until=" + FormatRfc3339(now + seconds(9))}) {
    const auto order = ParseOverrideOrder(query, now);
    ASSERT_FALSE(order) << query;
    EXPECT_EQ(order.error().code, Errc::kMalformed) << query;
  }
}

TEST_F(OverrideEndpointTest, AddsListsAndRemoves) {
  const auto added = Json("PUT", Path(1), "verdict=infected&reason=%22why%22&for_ms=60000");
  EXPECT_EQ(added.at("id"), SampleDigest(1).Hex().c_str());
  EXPECT_EQ(added.at("verdict"), "infected");
  EXPECT_EQ(added.at("signature"), "Lazaret.Override");
  EXPECT_EQ(added.at("reason"), "\"why\"");
  EXPECT_EQ(added.at("by"), "unknown@web1");
  EXPECT_EQ(added.at("since"), "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(added.at("until"), "2026-01-01T00:01:00.000Z");
  clock_.Advance(seconds(1));
  const auto second = Json("PUT", Path(2), "verdict=clean&reason=x");
  EXPECT_FALSE(second.contains("until"));
  EXPECT_FALSE(second.contains("signature"));
  const auto list = Json("GET", "/v1/overrides");
  EXPECT_EQ(list.at("count"), 2);
  EXPECT_EQ(list.at("overrides").as_array().at(0), boost::json::value(second));
  EXPECT_EQ(list.at("overrides").as_array().at(1), boost::json::value(added));
  EXPECT_EQ(Json("DELETE", Path(2)).at("removed"), true);
  EXPECT_EQ(Json("GET", "/v1/overrides").at("count"), 1);
  EXPECT_EQ(Slug(Ask("DELETE", Path(2))), "404 unknown-override");
}

TEST_F(OverrideEndpointTest, RefusesWhatMakesNoOverride) {
  EXPECT_EQ(Slug(Ask("PUT", Path(1), "verdict=clean")), "400 malformed") << "no reason";
  EXPECT_EQ(Slug(Ask("PUT", Path(1), "verdict=clean&reason=a%0Ab")), "400 malformed");
  EXPECT_EQ(Slug(Ask("PUT", Path(1), "verdict=clean&reason=a&signature=A")), "400 malformed");
  EXPECT_EQ(Slug(Ask("PUT", Path(1), "verdict=infected&reason=a&signature=")), "400 malformed");
  EXPECT_EQ(Slug(Ask("PUT", Path(1), "verdict=clean&reason=" + std::string(kMaxOverrideReason + 1, 'x'))),
            "400 malformed");
  EXPECT_EQ(Ask("PUT", Path(1), "verdict=clean&reason=" + std::string(kMaxOverrideReason, 'x')).status, 200);
  EXPECT_EQ(Slug(Ask("PUT", "/v1/overrides/xyz", "verdict=clean&reason=a")), "400 bad-id");
  EXPECT_EQ(Slug(Ask("DELETE", "/v1/overrides/ABC")), "400 bad-id");
}

TEST_F(OverrideEndpointTest, SaysWhatTheStoreSays) {
  store_.failure = Error{Errc::kTooLarge, "there are 5 overrides already (override.max_entries)"};
  const Response full = Ask("PUT", Path(1), "verdict=clean&reason=a");
  EXPECT_EQ(Slug(full), "409 too-many-overrides");
  EXPECT_THAT(full.body, HasSubstr("override.max_entries"));
  store_.failure = Error{Errc::kUnavailable, "Redis is gone"};
  EXPECT_EQ(Ask("PUT", Path(1), "verdict=clean&reason=a").status, 503);
  EXPECT_EQ(Ask("DELETE", Path(1)).status, 503);
  EXPECT_EQ(Ask("GET", "/v1/overrides").status, 200) << "those that are in force are known all the same";
}

TEST(OverrideJson, MarksTheAnswersThatItGives) {
  Override entry = SampleOverride(1, VerdictKind::kInfected);
  const Answer answer{
      .verdict = nullptr, .cached = true, .fresh = true, .overriding = std::make_shared<const Override>(entry)};
  const auto json = boost::json::parse(ScanJson(entry.id, "n", answer)).as_object();
  EXPECT_EQ(json.at("status"), "done");
  EXPECT_EQ(json.at("verdict"), "infected");
  EXPECT_EQ(json.at("signatures").as_array().at(0), "Lazaret.Override");
  EXPECT_EQ(json.at("name"), "n");
  EXPECT_EQ(json.at("cached"), true);
  EXPECT_EQ(json.at("fresh"), true);
  const auto& marked = json.at("override").as_object();
  EXPECT_EQ(marked.at("verdict"), "infected");
  EXPECT_EQ(marked.at("reason"), "false alarm 1");
  EXPECT_EQ(marked.at("by"), "alice");
  for (const char* key : {"engine", "scanned_at", "scan_ms", "size", "reason"}) EXPECT_FALSE(json.contains(key)) << key;
  const Answer allowed{.verdict = nullptr,
                       .cached = true,
                       .fresh = true,
                       .overriding = std::make_shared<const Override>(SampleOverride(1))};
  const auto clean = boost::json::parse(ScanJson(entry.id, "", allowed)).as_object();
  EXPECT_EQ(clean.at("verdict"), "clean");
  EXPECT_TRUE(clean.at("signatures").as_array().empty());
}

}  // namespace
}  // namespace lazaret::http
