// What each role answers, and that servers that share a Redis share their scans, too.
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <future>
#include <iostream>

#include <fmt/format.h>

#include "chaos/fleet_fixture.h"
#include "integration/callback_receiver.h"

namespace lazaret::tests {
namespace {

using testing::Each;
using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kBusy = "lazaret_scanners{state=\"busy\"}";

class FleetRoles : public FleetTest {
 protected:
  std::string Url() const { return WithOptions(redis_.Url()); }
  // A scan that is waited for, on a thread of its own.
  static std::future<Result<HttpResponse>> BeginScan(const FleetNode& node, const std::string& content) {
    return std::async(std::launch::async, [port = node.port(), content] { return Post(port, "/v1/scan", content); });
  }
  static std::future<Result<HttpResponse>> BeginPoll(const FleetNode& node, const std::string& content, int wait_s) {
    return std::async(std::launch::async,
                      [port = node.port(), id = IdOf(content), wait_s] { return Poll(port, id, wait_s); });
  }

  RedisProcess redis_{{.arguments = {"--appendonly", "yes"}}};
};

TEST_F(FleetRoles, ApiScansThroughTheWorkers) {
  Start(Url(), "worker");
  FleetNode& api = Start(Url(), "api");
  EXPECT_THAT(Post(api.port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  EXPECT_THAT(Post(api.port(), "/v1/scan", "harmless"), HasVerdict("clean"));
  EXPECT_THAT(Post(api.port(), "/v1/scan", ""), HasVerdict("clean"));
  const std::string large = PlainText(1'500'000) + Eicar();
  EXPECT_THAT(Post(api.port(), "/v1/scan", large), HasVerdict("infected"));
  EXPECT_THAT(Post(api.port(), "/v1/scan", Hook("crash")), IsUnscannable("engine-crashed"));
  EXPECT_TRUE(api.process().ScannerPids().empty());
  EXPECT_EQ(CountScans(IdOf(Eicar())), 1);
}

TEST_F(FleetRoles, ScansThatAreWaitedForGoAheadOfHundredsOfSubmits) {
  FleetNode& worker = Start(Url(), "worker");
  FleetNode& api = Start(Url(), "api");
  ASSERT_TRUE(worker.process().HaltScanners());
  constexpr unsigned kJobs = 300;
  for (unsigned i = 0; i < kJobs; ++i) ASSERT_THAT(Submit(api.port(), EicarWithPrefix(i)), HasStatus(202));
  auto answer = BeginScan(api, Eicar());
  ASSERT_TRUE(Eventually([&] { return JobsInfo(api, "queued") + JobsInfo(api, "scanning") == kJobs + 1; }));
  worker.process().LetScannersGoOn();
  EXPECT_THAT(answer.get(), HasVerdict("infected"));
  EXPECT_TRUE(Eventually([&] { return JobsInfo(api, "done") == kJobs + 1; }));
  EXPECT_TRUE(Eventually([&] { return worker.CountScans() == kJobs + 1; }));
  const auto scans = worker.ScansOf(0);
  // Behind those that the worker had, and a few of the lane for small contents.
  EXPECT_LT(std::ranges::find(scans, IdOf(Eicar())) - scans.begin(), kJobs / 4) << "it waited for them";
}

TEST_F(FleetRoles, ApiWithoutAWorkerRefusesScansAndTakesSubmits) {
  FleetNode& api = Launch(Url(), "api");
  EXPECT_THAT(Get(api.port(), "/readyz"), IsRefusal("worker"));
  EXPECT_THAT(Get(api.port(), "/healthz"), HasStatus(200));
  EXPECT_THAT(Post(api.port(), "/v1/scan", Eicar()), IsRefusal("worker"));
  Tries tries;
  ASSERT_TRUE(SubmitUntilTaken(api.port(), Eicar(), tries));
  EXPECT_THAT(Get(api.port(), "/v1/scans/" + IdOf(Eicar())), IsInState("queued"));
  Start(Url(), "worker");
  EXPECT_EQ(VerdictOf(api, Eicar()), "infected");
  EXPECT_TRUE(BecomesReady(api));
}

TEST_F(FleetRoles, ApiNoticesThatTheLastWorkerHasGone) {
  FleetNode& worker = Start(Url(), "worker");
  FleetNode& api = Start(Url(), "api");
  worker.Kill();
  EXPECT_TRUE(Eventually([&] { return testing::Value(Get(api.port(), "/readyz"), HasStatus(503)); }));
  EXPECT_THAT(Post(api.port(), "/v1/scan", "harmless"), IsRefusal("worker"));
  worker.StartAgain();
  EXPECT_TRUE(BecomesReady(api));
  EXPECT_THAT(Post(api.port(), "/v1/scan", "harmless"), HasVerdict("clean"));
}

TEST_F(FleetRoles, WorkerAnswersOnlyWhatOperatorsAsk) {
  FleetNode& worker = Start(Url(), "worker");
  for (const char* path : {"/healthz", "/readyz", "/metrics", "/v1/info"}) {
    EXPECT_THAT(Get(worker.port(), path), HasStatus(200)) << path;
  }
  for (const auto& answer :
       {Post(worker.port(), "/v1/scan", Eicar()), Post(worker.port(), "/v1/scans", Eicar()),
        Post(worker.port(), "/v1/scans/lookup", R"({"ids":[]})"), Get(worker.port(), "/v1/scans/" + IdOf(Eicar()))}) {
    EXPECT_THAT(answer, IsProblem(404, "unknown-path"));
    if (answer) EXPECT_THAT(TextOf(ParseJson(*answer), "detail"), HasSubstr("worker"));
  }
}

TEST_F(FleetRoles, ManyServersScanAContentOnce) {
  for (int i = 0; i < 3; ++i) Start(Url(), "all");
  FleetNode& api = Start(Url(), "api");
  const std::string slow = Hook("slow 1000") + Eicar();
  std::vector<std::future<Result<HttpResponse>>> answers;
  for (const auto& node : nodes()) answers.push_back(BeginScan(*node, slow));
  for (auto& answer : answers) EXPECT_THAT(answer.get(), HasVerdict("infected"));
  EXPECT_EQ(VerdictOf(api, slow), "infected");
  EXPECT_EQ(CountScans(IdOf(slow)), 1);
  // Each knows it now: nobody scans it again.
  for (const auto& node : nodes()) EXPECT_THAT(Post(node->port(), "/v1/scan", slow), HasVerdict("infected"));
  EXPECT_EQ(CountScans(IdOf(slow)), 1);
}

TEST_F(FleetRoles, OthersTakeOverFromAServerThatDiesWhileItScans) {
  for (int i = 0; i < 3; ++i) Start(Url(), "all");
  for (const auto& node : nodes()) ASSERT_TRUE(node->process().HaltScanners());
  std::vector<std::future<Result<HttpResponse>>> answers;
  for (const auto& node : nodes()) answers.push_back(BeginScan(*node, Eicar()));
  FleetNode* scanning = nullptr;
  ASSERT_TRUE(Eventually([&] {
    for (const auto& node : nodes()) {
      if (Metric(*node, kBusy) == 1) scanning = node.get();
    }
    return scanning != nullptr;
  }));
  scanning->Kill();
  for (const auto& node : nodes()) {
    if (node.get() != scanning) node->process().LetScannersGoOn();
  }
  std::size_t answered = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto answer = answers[i].get();
    if (nodes()[i].get() == scanning) {
      EXPECT_FALSE(answer.has_value());
    } else {
      EXPECT_THAT(answer, HasVerdict("infected"));
      ++answered;
    }
  }
  EXPECT_EQ(answered, 2);
  EXPECT_EQ(CountScans(IdOf(Eicar())), 1);
}

TEST_F(FleetRoles, DeadWorkersJobIsTakenOver) {
  FleetNode& first = Start(Url(), "worker");
  FleetNode& api = Start(Url(), "api");
  ASSERT_TRUE(first.process().HaltScanners());
  ASSERT_THAT(Submit(api.port(), Eicar()), HasStatus(202));
  ASSERT_TRUE(Eventually([&] { return Metric(first, kBusy) == 1; }));
  first.Kill();
  Start(Url(), "worker");
  EXPECT_EQ(VerdictOf(api, Eicar()), "infected");
  EXPECT_EQ(CountScans(IdOf(Eicar())), 1);
}

// The waits are longer than the test's patience: only somebody who is told of the verdict answers in time.
TEST_F(FleetRoles, LongPollsHearOfJobsThatOthersFinish) {
  Start(Url(), "worker");
  FleetNode& api = Start(Url(), "api", {"--set", "http.max_wait=1h"});
  FleetNode& other_api = Start(Url(), "api", {"--set", "http.max_wait=1h"});
  std::vector<std::string> contents;
  std::vector<std::future<Result<HttpResponse>>> polls;
  for (unsigned i = 0; i < 5; ++i) {
    contents.push_back(Hook("slow 200", i) + Eicar());
    ASSERT_THAT(Submit(api.port(), contents.back()), HasStatus(202));
    polls.push_back(BeginPoll(i % 2 == 0 ? api : other_api, contents.back(), 3600));
  }
  for (auto& poll : polls) EXPECT_THAT(poll.get(), HasVerdict("infected"));
}

TEST_F(FleetRoles, CallbacksAreMadeOnceByTheServersThatMay) {
  constexpr const char* kSecret = "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiB0aGlydHkgYnl0ZXM=";
  root_.Write("secret", std::string(kSecret) + "\n");
  const CallbackReceiver receiver;
  const std::vector<std::string> may_call = {"--webhook-host", fmt::format("127.0.0.1:{}", receiver.port()),
                                             "--set",          "webhook.secret_file=" + (root_ / "secret").native(),
                                             "--set",          "webhook.private_networks=127.0.0.0/8"};
  Start(Url(), "worker");
  FleetNode& api = Start(Url(), "api", may_call);
  FleetNode& other_api = Start(Url(), "api", may_call);
  constexpr unsigned kFiles = 10;
  for (unsigned i = 0; i < kFiles; ++i) {
    const FleetNode& node = i % 2 == 0 ? api : other_api;
    ASSERT_THAT(Post(node.port(), "/v1/scans?callback=" + receiver.Url(), EicarWithPrefix(i)), HasStatus(202));
  }
  std::vector<std::string> told;
  for (const Call& call : receiver.WaitForCalls(kFiles)) {
    EXPECT_TRUE(call.IsSignedWith(kSecret));
    told.push_back(TextOf(boost::json::parse(call.body).as_object(), "id"));
  }
  std::ranges::sort(told);
  EXPECT_THAT(told, SizeIs(kFiles));
  EXPECT_EQ(std::ranges::adjacent_find(told), told.end());
  EXPECT_TRUE(Eventually([&] { return Metric(api, "lazaret_callbacks_waiting") == 0; }));
  EXPECT_THAT(receiver.Calls(), SizeIs(kFiles));
}

TEST_F(FleetRoles, EverybodySeesTheSameQueue) {
  FleetNode& api = Launch(Url(), "api");
  FleetNode& other_api = Launch(Url(), "api");
  Tries tries;
  for (unsigned i = 0; i < 7; ++i) {
    ASSERT_TRUE(SubmitUntilTaken(i % 2 == 0 ? api.port() : other_api.port(), EicarWithPrefix(i), tries));
  }
  for (const auto& node : nodes()) EXPECT_TRUE(Eventually([&] { return JobsInfo(*node, "queued") == 7; }));
  Start(Url(), "worker");
  for (const auto& node : nodes()) {
    EXPECT_TRUE(Eventually([&] { return JobsInfo(*node, "queued") == 0 && JobsInfo(*node, "done") == 7; }));
  }
}

}  // namespace
}  // namespace lazaret::tests
