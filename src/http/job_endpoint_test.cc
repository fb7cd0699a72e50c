#include "http/job_endpoint.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/control_api.h"
#include "http/sample_exchange.h"
#include "http/sample_jobs.h"
#include "http/sample_overrides.h"

namespace lazaret::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class JobEndpointTest : public testing::Test {
 protected:
  Response Ask(std::string_view method, const std::string& path, std::string_view query = {}) {
    return SampleExchange(method, path, query).Answer(api_);
  }
  boost::json::object Json(std::string_view method, const std::string& path, std::string_view query = {}) {
    const Response response = Ask(method, path, query);
    EXPECT_EQ(response.status, 200) << response.body;
    return boost::json::parse(response.body).as_object();
  }
  // The ids of a list, by their number.
  std::vector<std::size_t> Listed(std::string_view query) {
    std::vector<std::size_t> numbers;
    const boost::json::object answer = Json("GET", "/v1/jobs", query);
    for (const boost::json::value& job : answer.at("jobs").as_array()) {
      std::size_t number = 0;
      while (Id(number) != job.at("id").as_string().c_str()) ++number;
      numbers.push_back(number);
    }
    return numbers;
  }
  static std::string Id(std::size_t number) { return SampleDigest(number).Hex(); }
  static std::string Path(std::size_t number, const std::string& more = "") { return "/v1/jobs/" + Id(number) + more; }
  static std::string Slug(const Response& response) {
    const std::string type = boost::json::parse(response.body).at("type").as_string().c_str();
    return std::to_string(response.status) + " " + type.substr(type.rfind(':') + 1);
  }

  SampleJobs jobs_;
  FakeClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  Telemetry telemetry_;
  OverrideBoard board_{clock_, log_};
  SampleOverrides overrides_{board_};
  ControlApi api_{jobs_, {.store = overrides_, .board = board_, .node = {}}, {}, clock_, log_, telemetry_};
};

TEST(ParseJobFilter, KnowsStateAndLimit) {
  const auto all = ParseJobFilter("");
  ASSERT_TRUE(all);
  EXPECT_FALSE(all->state);
  EXPECT_EQ(all->limit, 100u);
  const auto some = ParseJobFilter("limit=10000&state=scanning");
  ASSERT_TRUE(some);
  EXPECT_EQ(some->state, JobState::kLeased);
  EXPECT_EQ(some->limit, kMostListedJobs);
  EXPECT_EQ(ParseJobFilter("limit=1")->limit, 1u);
  for (const char* query : {"limit=0", "limit=10001", "limit=-1", "limit=", "limit=1x", "limit=99999999999999999999",
                            "state=", "state=leased", "state=DEAD", "stat=dead", "state=dead&state=dead", "limit=%"}) {
    const auto filter = ParseJobFilter(query);
    ASSERT_FALSE(filter) << query;
    EXPECT_EQ(filter.error().code, Errc::kMalformed) << query;
  }
}

TEST_F(JobEndpointTest, ListsTheNewestFirst) {
  EXPECT_THAT(Listed(""), IsEmpty());
  jobs_.Add(1, JobState::kDead);
  jobs_.Add(2, JobState::kQueued);
  jobs_.Add(3, JobState::kLeased);
  jobs_.Add(4, JobState::kDone);
  jobs_.Add(5, JobState::kDead);
  EXPECT_THAT(Listed(""), ElementsAre(5, 4, 3, 2, 1));
  EXPECT_THAT(Listed("limit=2"), ElementsAre(5, 4));
  EXPECT_THAT(Listed("state=dead"), ElementsAre(5, 1));
  EXPECT_THAT(Listed("state=scanning&limit=9"), ElementsAre(3));
  EXPECT_EQ(Json("GET", "/v1/jobs").at("counts"), boost::json::parse(R"({"queued":1,"scanning":1,"done":1,"dead":2})"));
  EXPECT_EQ(Slug(Ask("GET", "/v1/jobs", "state=deda")), "400 malformed");
}

TEST_F(JobEndpointTest, ShowsAWaitingJob) {
  Job& job = jobs_.Add(1, JobState::kQueued);
  job.attempts = 1;
  job.lost = 2;
  job.note = "say \"why\"";
  EXPECT_EQ(Json("GET", Path(1)), boost::json::parse(R"({"id":")" + Id(1) +
                                                     R"(","state":"queued","size":68,"submitted_at":)"
                                                     R"("2026-01-01T00:00:01.000Z","attempts":1,"lost":2,)"
                                                     R"("note":"say \"why\"","has_content":true})"));
}

TEST_F(JobEndpointTest, ShowsAVerdictExactlyWhenThereIsOne) {
  jobs_.Add(1, JobState::kDead);
  const auto dead = Json("GET", Path(1));
  EXPECT_EQ(dead.at("state"), "dead");
  EXPECT_EQ(dead.at("finished_at"), "2026-01-01T00:00:02.500Z");
  EXPECT_EQ(dead.at("verdict"), "unscannable");
  EXPECT_EQ(dead.at("reason"), "engine-crashed");
  EXPECT_EQ(dead.at("detail"), "why it is so");
  EXPECT_EQ(dead.at("attempts"), 3);
  EXPECT_EQ(dead.at("has_content"), true);
  jobs_.Add(2, JobState::kDone);
  const auto done = Json("GET", Path(2));
  EXPECT_EQ(done.at("verdict"), "infected");
  EXPECT_EQ(done.at("signatures").as_array().front(), "Win.Test.Sample-1");
  EXPECT_EQ(done.at("scan_ms"), 12.3);
  EXPECT_EQ(done.at("engine").at("version"), "1.4.6");
  EXPECT_FALSE(done.contains("reason"));
  jobs_.Add(3, JobState::kLeased);
  EXPECT_FALSE(Json("GET", Path(3)).contains("verdict"));
  EXPECT_FALSE(Json("GET", Path(3)).contains("finished_at"));
}

TEST_F(JobEndpointTest, RetriesDeadLettersOnly) {
  jobs_.Add(1, JobState::kDead);
  EXPECT_EQ(Json("POST", Path(1, "/retry")).at("state"), "queued");
  EXPECT_EQ(jobs_.jobs.at(SampleDigest(1)).state, JobState::kQueued);
  const Response again = Ask("POST", Path(1, "/retry"));
  EXPECT_EQ(Slug(again), "409 not-retryable");
  EXPECT_THAT(again.body, HasSubstr("no dead letter"));
  jobs_.Add(2, JobState::kDead).has_content = false;
  EXPECT_EQ(Slug(Ask("POST", Path(2, "/retry"))), "409 not-retryable");
  EXPECT_EQ(Slug(Ask("POST", Path(3, "/retry"))), "404 unknown-job");
}

TEST_F(JobEndpointTest, DropsWhateverTheState) {
  for (const JobState state : {JobState::kQueued, JobState::kLeased, JobState::kDone, JobState::kDead}) {
    jobs_.Add(1, state);
    EXPECT_EQ(Json("DELETE", Path(1)), boost::json::parse(R"({"id":")" + Id(1) + R"(","dropped":true})"));
    EXPECT_THAT(jobs_.jobs, IsEmpty());
  }
  EXPECT_EQ(Slug(Ask("DELETE", Path(1))), "404 unknown-job");
}

TEST_F(JobEndpointTest, RefusesWhatIsNoId) {
  for (const std::string id : {"x", "ABCDEF", "0123456789abcdef"}) {
    EXPECT_EQ(Slug(Ask("GET", "/v1/jobs/" + id)), "400 bad-id");
    EXPECT_EQ(Slug(Ask("DELETE", "/v1/jobs/" + id)), "400 bad-id");
    EXPECT_EQ(Slug(Ask("POST", "/v1/jobs/" + id + "/retry")), "400 bad-id");
  }
}

TEST_F(JobEndpointTest, SaysThatTheQueueCannotBeReached) {
  jobs_.Add(1, JobState::kDead);
  jobs_.failure = Error{Errc::kUnavailable, "the disk is gone"};
  for (const Response& response :
       {Ask("GET", "/v1/jobs"), Ask("GET", Path(1)), Ask("POST", Path(1, "/retry")), Ask("DELETE", Path(1))}) {
    EXPECT_EQ(response.status, 503);
    EXPECT_THAT(response.body, HasSubstr("the disk is gone"));
  }
  jobs_.failure = Error{Errc::kCorrupt, "damaged"};
  EXPECT_EQ(Ask("GET", Path(1)).status, 500);
}

TEST_F(JobEndpointTest, HasANameForEveryRoute) {
  EXPECT_THAT(ControlApi::Routes(),
              ElementsAre("/v1/jobs", "/v1/jobs/{id}", "/v1/jobs/{id}/retry", "/v1/overrides", "/v1/overrides/{id}",
                          "/v1/signatures", "/v1/signatures/reload", "/v1/signatures/rollback", "unknown", "bad-head"));
  EXPECT_EQ(Ask("PUT", Path(1)).headers.front().second, "GET, HEAD, DELETE");
}

}  // namespace
}  // namespace lazaret::http
