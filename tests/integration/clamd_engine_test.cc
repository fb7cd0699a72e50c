// A whole server with --engine clamd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "base/scoped_time_zone.h"
#include "integration/clamd_process.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using namespace std::string_view_literals;
using testing::HasSubstr;

// What a clamd must say to be believed (clamd_pool.require_alerts).
const std::vector<std::string> kAlerts = {"AlertExceedsMax yes", "AlertEncrypted yes"};

class ClamdEngine : public ServerTest {
 protected:
  // No scanner, no signatures: nothing of the embedded engine is there.
  ServerProcess& StartWith(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(),
                     {"--engine", "clamd", "--signatures", (root_ / "none").native(), "--set",
                      "engine.scanner_program=/nonexistent", "--set", "clamd_pool.check_interval=200ms"});
    Launch(std::move(arguments));
    return server();
  }
  static std::string Up(const ClamdProcess& clamd) {
    return fmt::format("lazaret_clamd_up{{server=\"{}\"}}", clamd.address().Text());
  }
};

TEST_F(ClamdEngine, ScansOverRest) {
  ClamdProcess clamd(root_, "clamd", {.settings = kAlerts});
  ASSERT_TRUE(StartWith({clamd.Flag()}).WaitUntilReady());
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  EXPECT_THAT(Post(port(), "/v1/scan", "text"), HasVerdict("clean"));
  const auto again = Post(port(), "/v1/scan", "text");
  ASSERT_THAT(again, HasVerdict("clean"));
  EXPECT_TRUE(ParseJson(*again).at("cached").as_bool());
  EXPECT_EQ(Metric(Up(clamd)), 1);
  EXPECT_TRUE(MetricBecomes(fmt::format("lazaret_clamd_scans{{server=\"{}\"}}", clamd.address().Text()), 0));
  const auto page = Get(port(), "/metrics");
  ASSERT_THAT(page, HasStatus(200));
  EXPECT_EQ(page->body.find("lazaret_scanners{"), std::string::npos) << "there are none";
}

TEST_F(ClamdEngine, NewSignaturesMakeVerdictsStale) {
  ClamdProcess clamd(root_, "clamd", {.settings = kAlerts});
  ASSERT_TRUE(StartWith({clamd.Flag()}).WaitUntilReady());
  ASSERT_THAT(Post(port(), "/v1/scan", "text"), HasVerdict("clean"));
  clamd.Reload(28'130);
  ASSERT_TRUE(MetricBecomes("clamav_db_version", 28'130));
  const auto again = Post(port(), "/v1/scan", "text");
  ASSERT_THAT(again, HasVerdict("clean"));
  EXPECT_FALSE(ParseJson(*again).at("cached").as_bool());
}

TEST_F(ClamdEngine, NoRequestFailsWhenOneOfThreeServersIsKilled) {
  ClamdProcess first(root_, "first", {.settings = kAlerts});
  ClamdProcess second(root_, "second", {.settings = kAlerts});
  ClamdProcess third(root_, "third", {.settings = kAlerts, .tcp = true});
  StartWith({first.Flag(), second.Flag(), third.Flag()});
  for (const ClamdProcess* clamd : {&first, &second, &third}) ASSERT_TRUE(MetricBecomes(Up(*clamd), 1));

  constexpr unsigned kClients = 8;
  constexpr unsigned kRequests = 150;
  std::atomic<unsigned> done = 0;
  std::atomic<unsigned> failed = 0;
  std::vector<std::jthread> clients;
  for (unsigned client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (unsigned i = 0; i < kRequests; ++i, ++done) {
        const unsigned number = client * kRequests + i;
        const bool bad = number % 2 == 0;
        const auto answer = Post(port(), "/v1/scan", bad ? EicarWithPrefix(number) : PlainText(20'000, number));
        const std::string verdict = answer && answer->status == 200 ? TextOf(ParseJson(*answer), "verdict") : "";
        if (verdict == (bad ? "infected" : "clean")) continue;
        ++failed;
        ADD_FAILURE() << number << ": " << testing::PrintToString(answer);
      }
    });
  }
  ASSERT_TRUE(Eventually([&] { return done > kClients * kRequests / 5; }));
  second.Kill();
  ASSERT_TRUE(Eventually([&] { return done > kClients * kRequests / 2; }));
  second.Start();
  third.Kill();
  clients.clear();
  EXPECT_EQ(failed, 0u);
  EXPECT_TRUE(MetricBecomes(Up(second), 1)) << "it comes back by itself";
  EXPECT_TRUE(MetricBecomes(Up(third), 0));
}

TEST_F(ClamdEngine, SaysWhyItIsNotReadyAndComesBackByItself) {
  ClamdProcess clamd(root_, "clamd", {.settings = kAlerts});
  ASSERT_TRUE(StartWith({clamd.Flag()}).WaitUntilReady());
  clamd.Kill();
  ASSERT_TRUE(Eventually([&] {
    const auto ready = Get(port(), "/readyz");
    return ready && ready->status == 503;
  }));
  const auto refused = Post(port(), "/v1/scan", "text");
  EXPECT_THAT(refused, IsProblem(503, "not-ready"));
  EXPECT_THAT(TextOf(ParseJson(*refused), "detail"), HasSubstr("onnect"));
  clamd.Start();
  EXPECT_TRUE(server().WaitUntilReady());
  EXPECT_THAT(Post(port(), "/v1/scan", "text"), HasVerdict("clean"));
}

TEST_F(ClamdEngine, StartsBeforeItsServers) {
  ClamdProcess clamd(root_, "clamd", {.settings = kAlerts});
  clamd.Kill();
  StartWith({clamd.Flag()});
  EXPECT_THAT(Post(port(), "/v1/scan", "text"), IsProblem(503, "not-ready"));
  clamd.Start();
  EXPECT_TRUE(server().WaitUntilReady());
}

TEST_F(ClamdEngine, IsNotUsedWhenItsCleanProvesNothing) {
  ClamdProcess silent(root_, "clamd");
  StartWith({silent.Flag()});
  ASSERT_TRUE(server().WaitForLog("it calls clean what it could not look into"));
  EXPECT_THAT(Post(port(), "/v1/scan", "text"), IsProblem(503, "not-ready"));
  StartWith({silent.Flag(), "--set", "clamd_pool.require_alerts=false"});
  ASSERT_TRUE(server().WaitUntilReady());
  EXPECT_THAT(Post(port(), "/v1/scan", "text"), HasVerdict("clean"));
}

// Whatever the time zones of the two are.
TEST_F(ClamdEngine, TheFrontDoorSaysTheVersionOfItsServer) {
  constexpr auto kHere = "EST5EDT,M3.2.0,M11.1.0";
  const std::tuple<std::string, std::string, std::string> kTable[] = {
      {kHere, kHere, "2026-11-23T07:00:00.000Z"},
      {"UTC", "UTC", "2026-11-23T07:00:00.000Z"},
      {"UTC", kHere, "2026-11-23T12:00:00.000Z"},  // taken for a time of ours
  };
  const clamav::ClamdAddress door{.path = root_ / "door.sock", .host = {}, .port = 0};
  int number = 0;
  for (const auto& [theirs, ours, built_at] : kTable) {
    std::optional<ScopedTimeZone> zone(theirs);
    const ClamdProcess clamd(root_, fmt::format("clamd{}", ++number), {.settings = kAlerts});
    zone.reset();
    zone.emplace(ours);
    ASSERT_TRUE(StartWith({clamd.Flag(), "--clamd-listen", door.Text()}).WaitUntilReady());
    const std::string version = clamd.Ask("zVERSION\0"sv);
    EXPECT_THAT(version, HasSubstr("/28129/Mon Nov 23 "));
    EXPECT_EQ(AskClamd(door, "zVERSION\0"sv), version);
    const auto info = Get(port(), "/v1/info");
    ASSERT_THAT(info, HasStatus(200));
    EXPECT_EQ(TextOf(ParseJson(*info).at("engine").as_object(), "built_at"), built_at);
  }
}

}  // namespace
}  // namespace lazaret::tests
