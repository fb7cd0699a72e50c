// The pool of clamd servers, with real ones.
#include <signal.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include <fmt/format.h>

#include "clamav/clamd_probe.h"
#include "integration/archives.h"
#include "integration/clamd_process.h"
#include "integration/pool_runner.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20;

clamav::ClamdPoolSettings PoolOf(std::vector<clamav::ClamdAddress> addresses, std::uint64_t max_file_size = kMiB) {
  return {.addresses = std::move(addresses),
          .server = {.connections = 4,
                     .max_file_size = max_file_size,
                     .connect_timeout = seconds(5),
                     .answer_timeout = seconds(10),
                     .check_interval = milliseconds(100),
                     .require_alerts = false},
          .attempts = 3};
}

std::string Describe(const Result<Verdict>& verdict) {
  if (!verdict) return "error: " + verdict.error().what;
  std::string text(ToString(verdict->kind()));
  if (verdict->reason() != Reason::kNone) text += " " + std::string(ToString(verdict->reason()));
  for (const std::string& name : verdict->signatures()) text += " " + name;
  return text;
}

// The number of the daily database that is said to have been used.
unsigned LabelOf(const EngineInfo& info) { return info.databases.at(0).version; }
// ... and of the one that was, for a content with the marker.
unsigned SetOf(const Verdict& verdict) {
  constexpr std::string_view kPrefix = "Test.Set";
  const std::string& name = verdict.signatures().at(0);
  EXPECT_TRUE(name.starts_with(kPrefix)) << name;
  return static_cast<unsigned>(std::stoul(name.substr(kPrefix.size())));
}

std::string Marked(unsigned number) { return fmt::format("content {} {}\n", number, kClamdMarker); }

class ClamdPoolTest : public testing::TestWithParam<bool> {
 protected:
  ClamdOptions Options(std::vector<std::string> settings = {}) const {
    return {.settings = std::move(settings), .tcp = GetParam()};
  }
  TestDirectory root_;
};
INSTANTIATE_TEST_SUITE_P(Over, ClamdPoolTest, testing::Bool(),
                         [](const auto& over) { return over.param ? "Tcp" : "Unix"; });

TEST_P(ClamdPoolTest, SaysWhatClamdSays) {
  ClamdProcess clamd(root_, "clamd", Options());
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  EXPECT_EQ(Describe(runner.Scan(Eicar())), "infected Test.Eicar.UNOFFICIAL");
  EXPECT_EQ(Describe(runner.Scan(PlainText(1000))), "clean");
  EXPECT_EQ(Describe(runner.Scan("")), "clean");
  EXPECT_EQ(Describe(runner.Scan(PlainText(kMiB - 100) + Eicar())), "infected Test.Eicar.UNOFFICIAL");
  const auto verdict = runner.Scan(PlainText(2000));
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->record().size, 2000u);
  EXPECT_EQ(verdict->record().engine, runner.pool().Current());
  EXPECT_EQ(LabelOf(*verdict->record().engine), 28'129u);
}

TEST_P(ClamdPoolTest, DoesNotSendWhatIsOverTheLimit) {
  ClamdProcess clamd(root_, "clamd", Options());
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  EXPECT_EQ(Describe(runner.Scan(PlainText(kMiB))), "clean");
  EXPECT_EQ(Describe(runner.Scan(PlainText(kMiB + 1))), "unscannable limit-exceeded");
}

TEST_P(ClamdPoolTest, LearnsWhatAServerLooksInto) {
  ClamdProcess clamd(root_, "clamd", Options({"MaxFileSize 1M"}));
  PoolRunner runner(PoolOf({clamd.address()}, 4 * kMiB));
  ASSERT_TRUE(runner.BecomesReady());
  EXPECT_EQ(Describe(runner.Scan(PlainText(kMiB))), "clean");
  EXPECT_EQ(Describe(runner.Scan(Eicar() + PlainText(kMiB))), "unscannable limit-exceeded") << "clamd says OK to it";
}

TEST_P(ClamdPoolTest, LearnsHowMuchAStreamMayHold) {
  ClamdProcess clamd(root_, "clamd", Options({"StreamMaxLength 1M"}));
  PoolRunner runner(PoolOf({clamd.address()}, 4 * kMiB));
  ASSERT_TRUE(runner.BecomesReady());
  EXPECT_EQ(Describe(runner.Scan(PlainText(3 * kMiB))), GetParam() ? "unscannable limit-exceeded" : "clean");
}

TEST_P(ClamdPoolTest, BelievesAlerts) {
  ClamdProcess clamd(root_, "clamd", Options({"AlertExceedsMax yes", "AlertEncrypted yes", "MaxFileSize 600K"}));
  auto settings = PoolOf({clamd.address()});
  settings.server.require_alerts = true;
  PoolRunner runner(settings);
  ASSERT_TRUE(runner.BecomesReady());
  EXPECT_EQ(Describe(runner.Scan(clamav::DeepProbe() + "x")), "unscannable limit-exceeded");
  EXPECT_EQ(Describe(runner.Scan(clamav::EncryptedProbe() + "x")), "unscannable encrypted");
  EXPECT_EQ(Describe(runner.Scan(PlainText(700 * 1024))), "unscannable limit-exceeded") << "it says so itself";
  EXPECT_EQ(Describe(runner.Scan(PlainText(500 * 1024))), "clean");
}

TEST_P(ClamdPoolTest, UsesNoServerThatFindsNothing) {
  ClamdOptions options = Options();
  options.knows_eicar = false;
  ClamdProcess clamd(root_, "clamd", options);
  PoolRunner runner(PoolOf({clamd.address()}));
  EXPECT_TRUE(Eventually([&] { return runner.pool().NotReadyReason().find("EICAR") != std::string::npos; }));
  EXPECT_EQ(runner.pool().Current(), nullptr);
  EXPECT_EQ(runner.Scan("text").error().code, Errc::kUnavailable);
}

TEST_P(ClamdPoolTest, CanInsistOnAlerts) {
  ClamdProcess clamd(root_, "clamd", Options({"AlertExceedsMax yes"}));
  auto settings = PoolOf({clamd.address()});
  settings.server.require_alerts = true;
  PoolRunner runner(settings);
  EXPECT_TRUE(Eventually([&] { return runner.pool().NotReadyReason().find("AlertEncrypted") != std::string::npos; }));
  EXPECT_EQ(runner.pool().Current(), nullptr);
}

TEST_P(ClamdPoolTest, OutlivesAScanThatIsLongerThanTheCommandTimeout) {
  ClamdProcess clamd(
      root_, "clamd",
      Options({"CommandReadTimeout 1", "ReadTimeout 1", "DisableCache yes", "MaxScanSize 4000M", "MaxFileSize 1000M"}));
  PoolRunner runner(PoolOf({clamd.address()}, 8 * kMiB));
  ASSERT_TRUE(runner.BecomesReady());
  std::string text;
  while (text.size() < 40 * kMiB) text += "a line with words in it that takes clamd its time\n";
  const std::string inner = MakeZip({{.name = "inner", .data = std::move(text), .deflate = true}});
  std::vector<ZipMember> members;
  for (int i = 0; i < 16; ++i) members.push_back({.name = fmt::format("m{}", i), .data = inner});
  const auto verdict = runner.Scan(MakeZip(members));
  EXPECT_EQ(Describe(verdict), "clean");
  EXPECT_GT(verdict->record().scan_ms, 1000) << "too short to show anything";
}

TEST_P(ClamdPoolTest, LabelsVerdictsWithTheServerThatJudged) {
  ClamdOptions older = Options();
  ClamdOptions newer = Options();
  newer.daily = 28'130;
  ClamdProcess first(root_, "first", older);
  ClamdProcess second(root_, "second", newer);
  PoolRunner runner(PoolOf({first.address(), second.address()}));
  ASSERT_TRUE(runner.ServersUp(2));
  EXPECT_EQ(LabelOf(*runner.pool().Current()), 28'130u) << "the newest";
  std::vector<std::future<Result<Verdict>>> scans;
  for (unsigned i = 0; i < 40; ++i) scans.push_back(runner.StartScan(Marked(i)));
  std::set<unsigned> used;
  for (auto& scan : scans) {
    const auto verdict = scan.get();
    ASSERT_TRUE(verdict);
    EXPECT_EQ(LabelOf(*verdict->record().engine), SetOf(*verdict));
    used.insert(SetOf(*verdict));
  }
  EXPECT_EQ(used, (std::set<unsigned>{28'129, 28'130}));
  second.Kill();
  EXPECT_TRUE(Eventually([&] { return runner.pool().Current() && LabelOf(*runner.pool().Current()) == 28'129; }));
}

TEST_P(ClamdPoolTest, NeverLabelsAVerdictWithANewerSetThanItWasMadeWith) {
  ClamdProcess clamd(root_, "clamd", Options());
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  unsigned number = 0;
  int changes = 0;
  for (unsigned daily = 28'130; daily < 28'140; ++daily) {
    clamd.Reload(daily);
    for (bool seen = false; !seen && number < 200'000;) {
      std::vector<std::future<Result<Verdict>>> scans;
      for (unsigned i = 0; i < 4; ++i) scans.push_back(runner.StartScan(Marked(++number)));
      for (auto& scan : scans) {
        const auto verdict = scan.get();
        if (!verdict || verdict->kind() != VerdictKind::kInfected) continue;  // it may have been loading
        ASSERT_LE(LabelOf(*verdict->record().engine), SetOf(*verdict));
        changes += LabelOf(*verdict->record().engine) != SetOf(*verdict);
        seen = seen || LabelOf(*verdict->record().engine) == daily;
      }
    }
  }
  EXPECT_TRUE(Eventually([&] { return LabelOf(*runner.pool().Current()) == 28'139; }));
  RecordProperty("verdicts_with_an_older_label", changes);
}

TEST_P(ClamdPoolTest, GivesScansOfAHungServerToAnotherOne) {
  ClamdProcess first(root_, "first", Options());
  ClamdProcess second(root_, "second", Options());
  auto settings = PoolOf({first.address(), second.address()});
  settings.server.answer_timeout = milliseconds(500);
  PoolRunner runner(settings);
  ASSERT_TRUE(runner.ServersUp(2));
  ASSERT_TRUE(Halt(second.pid()));
  std::vector<std::future<Result<Verdict>>> scans;
  for (unsigned i = 0; i < 20; ++i) scans.push_back(runner.StartScan(Marked(i)));
  for (auto& scan : scans) EXPECT_EQ(Describe(scan.get()), "infected Test.Set28129.UNOFFICIAL");
  EXPECT_TRUE(runner.ServersUp(1));
  second.Signal(SIGCONT);
  EXPECT_TRUE(runner.ServersUp(2));
}

TEST_P(ClamdPoolTest, TimesOutWhenAllHang) {
  ClamdProcess clamd(root_, "clamd", Options());
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  ASSERT_TRUE(Halt(clamd.pid()));
  EXPECT_EQ(Describe(runner.Scan("text", milliseconds(300))), "unscannable timeout");
  clamd.Signal(SIGCONT);
  EXPECT_EQ(Describe(runner.Scan("text")), "clean");
}

}  // namespace
}  // namespace lazaret::tests
