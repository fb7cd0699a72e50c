// Scanners and the zygote die while thousands of uploads are under way.
#include <signal.h>

#include <iostream>
#include <map>

#include <fmt/format.h>

#include "chaos/crowd.h"
#include "integration/archives.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using testing::AnyOf;
using testing::Ge;
using testing::Le;

class ScannerKill : public ServerTest {
 protected:
  struct Upload {
    std::string content;
    bool infected;
  };

  // Another one for each number: of 1 to 256 KiB, plain or packed, every third infected.
  static Upload MakeUpload(unsigned number) {
    const std::size_t size = std::size_t{1024} << (number % 9);
    const bool infected = number % 3 == 0;
    if (number % 4 == 0) {
      std::vector<ZipMember> members = {{.name = "text", .data = PlainText(size, number), .deflate = number % 8 == 0}};
      if (infected) members.push_back({.name = "sample", .data = EicarWithPrefix(number), .deflate = true});
      return {MakeZip(members), infected};
    }
    std::string text = PlainText(size, number);
    if (infected) text.replace(text.size() / 2, 0, Eicar());
    return {text, infected};
  }

  // Kills the scanner that has lived longest, if there is one.
  bool KillAScanner() {
    for (const pid_t pid : server().ScannerPids()) {
      if (ProcessHandle(pid).Kill()) return true;
    }
    return false;
  }
};

TEST_F(ScannerKill, ThousandsOfUploadsGetTheirVerdicts) {
  constexpr unsigned kUploads = 2000;
  constexpr unsigned kKills = 100;
  Start({"--set", "http.body_timeout=10m", "--set", "queue.max_wait=10m", "--set", "http.request_timeout=10m"});
  const auto begin = std::chrono::steady_clock::now();
  Crowd crowd(port());
  for (unsigned i = 0; i < kUploads; ++i) crowd.Add(MakeRequest("POST", "/v1/scan", {}, MakeUpload(i).content));
  ASSERT_TRUE(crowd.SendAllButTheEnd());
  ASSERT_EQ(Metric("lazaret_http_connections"), kUploads + 1) << "all of them are under way, and the one that asks";

  std::map<std::string, unsigned> counts;
  unsigned answered = 0;
  unsigned kills = 0;
  crowd.Finish([&](std::size_t number, const Result<HttpResponse>& answer) {
    ++answered;
    if (kills < kKills && answered * kKills >= (kills + 1) * kUploads && KillAScanner()) ++kills;
    ASSERT_THAT(answer, HasStatus(200)) << number;
    const auto scan = ParseJson(*answer);
    std::string verdict = TextOf(scan, "verdict");
    if (verdict == "unscannable") {
      EXPECT_EQ(TextOf(scan, "reason"), "engine-crashed") << number << " " << answer->body;
    } else {
      EXPECT_EQ(verdict, number % 3 == 0 ? "infected" : "clean") << number << " " << answer->body;
    }
    ++counts[verdict];
  });
  std::cout << fmt::format(
      "{} answers: {} clean, {} infected, {} unscannable; {} scanners killed, {} crashed; {:.1f} s\n", answered,
      counts["clean"], counts["infected"], counts["unscannable"], kills,
      Metric("lazaret_scanners_ended_total{cause=\"crashed\"}"),
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  EXPECT_EQ(answered, kUploads);
  EXPECT_THAT(kills, Ge(kKills - 5)) << "now and then there is no scanner to kill";
  EXPECT_THAT(counts["unscannable"], Le(5u));
  EXPECT_THAT(Post(port(), "/v1/scan", EicarWithPrefix(1)), HasVerdict("infected"));
  EXPECT_EQ(Metric("lazaret_zygote_restarts_total"), 0);
  EXPECT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"memory\"}", 0));
}

TEST_F(ScannerKill, ADeathBeforeTheScanIsNotHeldAgainstTheContent) {
  Start({"--set", "engine.attempts=1", "--scanners", "1"});
  ASSERT_TRUE(MetricBecomes("lazaret_scanners{state=\"idle\"}", 2));
  const pid_t zygote = server().ZygotePid().value_or(0);
  ASSERT_GT(zygote, 0);
  // A zygote that stands still reports no deaths: the server hands the content to dead scanners.
  ASSERT_TRUE(Halt(zygote));
  for (const pid_t pid : server().ScannerPids()) {
    const ProcessHandle scanner(pid);
    ASSERT_TRUE(scanner.Kill());
    ASSERT_TRUE(scanner.WaitForEnd());
  }
  HttpConnection first(port());
  ASSERT_TRUE(first.Send(MakeRequest("POST", "/v1/scan", {}, EicarWithPrefix(1))));
  ASSERT_TRUE(MetricBecomes("lazaret_scanners{state=\"idle\"}", 0));
  ::kill(zygote, SIGCONT);
  EXPECT_THAT(first.Receive(), HasVerdict("infected"));

  // Scanners that stand still have the content sent to them, but do not look at it before they die.
  ASSERT_TRUE(MetricBecomes("lazaret_scanners{state=\"idle\"}", 2));
  const auto scanners = server().ScannerPids();
  for (const pid_t pid : scanners) ASSERT_TRUE(Halt(pid));
  HttpConnection second(port());
  ASSERT_TRUE(second.Send(MakeRequest("POST", "/v1/scan", {}, EicarWithPrefix(2))));
  ASSERT_TRUE(MetricBecomes("lazaret_scanners{state=\"busy\"}", 1));
  for (const pid_t pid : scanners) ::kill(pid, SIGKILL);
  EXPECT_THAT(second.Receive(), HasVerdict("infected"));
}

TEST_F(ScannerKill, AnEngineThatDiesComesBackByItself) {
  Start({"--set", "http.body_timeout=10m", "--set", "queue.max_wait=10m"});
  std::map<std::string, unsigned> counts;
  unsigned number = 0;
  for (int round = 0; round < 3; ++round) {
    Crowd crowd(port());
    for (unsigned i = 0; i < 100; ++i) crowd.Add(MakeRequest("POST", "/v1/scan", {}, EicarWithPrefix(number++)));
    ASSERT_TRUE(crowd.SendAllButTheEnd());
    const ProcessHandle zygote(server().ZygotePid().value_or(0));
    unsigned answered = 0;
    crowd.Finish([&](std::size_t, const Result<HttpResponse>& answer) {
      if (++answered == 10) EXPECT_TRUE(zygote.Kill());
      ASSERT_TRUE(answer) << answer.error().what;
      ASSERT_THAT(answer->status, AnyOf(200, 503)) << answer->body;
      if (answer->status == 200) {
        EXPECT_EQ(TextOf(ParseJson(*answer), "verdict"), "infected") << answer->body;
      } else {
        EXPECT_TRUE(answer->Find("Retry-After"));
      }
      ++counts[fmt::format("{}", answer->status)];
    });
    EXPECT_EQ(answered, 100u);
    EXPECT_TRUE(server().WaitUntilReady());
    EXPECT_THAT(Post(port(), "/v1/scan", EicarWithPrefix(number++)), HasVerdict("infected"));
  }
  std::cout << fmt::format("3 zygotes killed: {} answers with a verdict, {} with 503\n", counts["200"], counts["503"]);
  EXPECT_EQ(Metric("lazaret_zygote_restarts_total"), 3);
}

TEST_F(ScannerKill, AnEngineThatDiesWhenNothingIsScannedIsMissedAtOnce) {
  Start();
  const ProcessHandle zygote(server().ZygotePid().value_or(0));
  ASSERT_TRUE(zygote.Kill());
  EXPECT_TRUE(server().WaitForLog("zygote ended"));
  const auto answer = Post(port(), "/v1/scan", Eicar());
  EXPECT_TRUE(answer && (answer->status == 503 || TextOf(ParseJson(*answer), "verdict") == "infected"));
  EXPECT_TRUE(server().WaitUntilReady());
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
}

}  // namespace
}  // namespace lazaret::tests
