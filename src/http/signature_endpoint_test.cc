#include "http/signature_endpoint.h"

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

namespace lazaret::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SignatureEndpointTest : public testing::Test {
 protected:
  SignatureEndpoint::Parts Parts() {
    return {.missing = {},
            .describe = [] { return std::string(R"({"directory":"/s"})"); },
            .reload = [this](bool force) { return Note(force ? "reload force" : "reload"); },
            .rollback = [this](const std::string& reason) { return Note("rollback " + reason); }};
  }
  aio::Task<SignatureEndpoint::Changed> Note(std::string call) {
    calls_.push_back(std::move(call));
    co_return outcome_;
  }
  Response Ask(std::string_view method, const std::string& path, std::string_view query = {}) {
    ControlApi api(jobs_, {.store = store_, .board = board_, .node = {}}, parts_, clock_, log_, telemetry_);
    return SampleExchange(method, path, query).Answer(api);
  }
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
  std::vector<std::string> calls_;
  SignatureEndpoint::Changed outcome_ = true;
  SignatureEndpoint::Parts parts_ = Parts();
};

TEST_F(SignatureEndpointTest, ShowsReloadsAndGoesBack) {
  const Response shown = Ask("GET", "/v1/signatures");
  EXPECT_EQ(shown.status, 200);
  EXPECT_THAT(shown.body, HasSubstr(R"({"directory":"/s"})"));
  const auto reloaded = boost::json::parse(Ask("POST", "/v1/signatures/reload").body);
  EXPECT_EQ(reloaded.at("changed"), true);
  EXPECT_EQ(reloaded.at("signatures").at("directory"), "/s");
  outcome_ = false;
  EXPECT_EQ(boost::json::parse(Ask("POST", "/v1/signatures/reload", "force").body).at("changed"), false);
  EXPECT_EQ(Ask("POST", "/v1/signatures/rollback", "reason=false%20alarms").status, 200);
  EXPECT_EQ(Ask("POST", "/v1/signatures/rollback").status, 200);
  EXPECT_THAT(calls_, ElementsAre("reload", "reload force", "rollback false alarms (unknown)",
                                  "rollback by the operator, without a reason (unknown)"));
}

TEST_F(SignatureEndpointTest, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(Slug(Ask("POST", "/v1/signatures/reload", "forse")), "400 malformed");
  EXPECT_EQ(Slug(Ask("POST", "/v1/signatures/reload", "force=no")), "400 malformed");
  EXPECT_EQ(Slug(Ask("POST", "/v1/signatures/rollback", "reason=a&reason=b")), "400 malformed");
  const std::string longest(kMaxRollbackReason, 'x');
  EXPECT_EQ(Slug(Ask("POST", "/v1/signatures/rollback", "reason=" + longest + "x")), "400 malformed");
  EXPECT_THAT(calls_, ElementsAre());
  EXPECT_EQ(Ask("POST", "/v1/signatures/rollback", "reason=" + longest).status, 200);
  EXPECT_EQ(Ask("GET", "/v1/signatures/reload").status, 405);
}

TEST_F(SignatureEndpointTest, SaysWhyNothingChanged) {
  outcome_ = Fail(Errc::kUnavailable, "Malformed database");
  const Response refused = Ask("POST", "/v1/signatures/reload");
  EXPECT_EQ(Slug(refused), "409 signatures-not-changed");
  EXPECT_THAT(refused.body, HasSubstr("Malformed database"));
  outcome_ = Fail(Errc::kNotFound, "no earlier signatures are kept");
  EXPECT_EQ(Slug(Ask("POST", "/v1/signatures/rollback")), "409 signatures-not-changed");
}

TEST_F(SignatureEndpointTest, SaysThatThereAreNone) {
  parts_ = {.missing = "engine.kind is clamd", .describe = {}, .reload = {}, .rollback = {}};
  for (const Response& response : {Ask("GET", "/v1/signatures"), Ask("POST", "/v1/signatures/reload"),
                                   Ask("POST", "/v1/signatures/rollback", "reason=x")}) {
    EXPECT_EQ(Slug(response), "409 no-signatures");
    EXPECT_THAT(response.body, HasSubstr("engine.kind is clamd"));
  }
}

}  // namespace
}  // namespace lazaret::http
