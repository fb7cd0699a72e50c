// What comes of a clamd that misbehaves: never `clean`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "integration/pool_runner.h"
#include "integration/scripted_clamd.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using namespace std::string_literals;

constexpr std::uint64_t kMost = 16 << 20;
constexpr std::size_t kBig = 8 << 20;  // more than sockets hold

struct Misbehaviour {
  std::string name;
  Script script;
  std::string outcome = "engine-error";
  std::size_t size = 100;
};

void PrintTo(const Misbehaviour& row, std::ostream* out) { *out << row.name; }

std::string Padding(std::size_t size) { return std::string(kScripted) + std::string(size - kScripted.size(), 'x'); }

clamav::ClamdPoolSettings PoolOf(std::vector<clamav::ClamdAddress> addresses) {
  return {.addresses = std::move(addresses),
          .server = {.connections = 2,
                     .max_file_size = kMost,
                     .connect_timeout = seconds(5),
                     .answer_timeout = seconds(1),
                     .check_interval = seconds(60),
                     .require_alerts = false},
          .attempts = 2};
}

const std::vector<Misbehaviour>& Table() {
  static const std::vector<Misbehaviour> kTable = {
      {"ClosesWithoutReply", {.reply = ""}},
      {"ClosesWithoutReplyEarly", {.reply = "", .at_once = true}, "engine-error", kBig},
      {"SendsGarbage", {.reply = "\x01\x02\x7f\xff what\r\n\0"s}},
      {"SendsANul", {.reply = "\0"s}},
      {"SendsHalfALine", {.reply = "{}: O"}},
      {"SendsAllButTheNul", {.reply = "{}: OK"}},
      {"SendsHalfALineAndStalls", {.reply = "{}: OK", .stay_open = true}},
      {"NeverCloses", {.reply = "{}: OK\0"s, .stay_open = true}},
      {"EndsWithANewline", {.reply = "{}: OK\n"}},
      {"LacksMemory", {.reply = "{}: Can't allocate memory ERROR\0"s}},
      {"LacksMemoryAndSaysNoMore", {.reply = "Can't allocate memory ERROR\0"s}},
      {"ReachesItsTimeLimit", {.reply = "{}: Time limit reached ERROR\0"s}},
      {"Stalls", {.reply = "", .stay_open = true}, "timeout"},
      {"StallsInTheUpload", {.reply = "", .at_once = true, .stay_open = true}, "engine-error", kBig},
      {"Resets", {.reply = "", .reset = true}},
      {"ResetsInTheUpload", {.reply = "", .at_once = true, .reset = true}, "engine-error", kBig},
      {"RepliesToPing", {.reply = "PONG\0"s}},
      {"RepliesToVersion", {.reply = "ClamAV 1.4.6\0"s}},
      {"RepliesToScan", {.reply = "/tmp/file: OK\0"s}},
      {"RepliesInASession", {.reply = "1: {}: OK\0"s}},
      {"RepliesWithoutSubject", {.reply = "OK\0"s}},
      {"RepliesTwice", {.reply = "{}: OK\0{}: OK\0"s}},
      {"RepliesTwiceOtherwise", {.reply = "{}: OK\0{}: Eicar FOUND\0"s}},
      {"RepliesTwoLines", {.reply = "{}: OK\n{}: OK\0"s}},
      {"RepliesBeforeTheEnd", {.reply = "{}: OK\0"s, .at_once = true}, "engine-error", kBig},
      {"RepliesWithANulInside", {.reply = "{}: \0OK\0"s}},
      {"RepliesSpaces", {.reply = "{}: OK \0"s}},
      {"IsNotSure", {.reply = "{}: OK, I think\0"s}},
      {"SaysNotOk", {.reply = "{}: NOT OK\0"s}},
      {"SpeaksOfOk", {.reply = "everything is OK\0"s}},
      {"DoesNotKnowTheCommand", {.reply = "UNKNOWN COMMAND\0"s}},
      {"TimesOut", {.reply = "COMMAND READ TIMED OUT\n"}},
      {"FindsNothingNamed", {.reply = "{}:  FOUND\0"s}},
      {"SendsTooMuch", {.reply = "{}: " + std::string(8000, ' ') + "OK\0"s}},
      {"SendsForEver", {.reply = std::string(1 << 20, 'O'), .stay_open = true}},
      {"LosesItsVersion", {.reply = "{}: OK\0"s, .version_after = ""}},
      {"BecomesSomethingElse", {.reply = "{}: OK\0"s, .version_after = "Squid 6"}},
      {"ChangesItsSetEachTime", {.reply = "{}: OK\0"s, .version_after = "ClamAV 1.4.6"}},
      {"FindsLimits", {.reply = "{}: Heuristics.Limits.Exceeded.MaxFiles FOUND\0"s}, "limit-exceeded"},
      {"FindsEncryption", {.reply = "{}: Heuristics.Encrypted.PDF FOUND\0"s}, "encrypted"},
      {"IsGivenTooMuch", {.reply = "{}: OK\0"s}, "limit-exceeded", kMost + 1},
  };
  return kTable;
}

using Row = std::tuple<Misbehaviour, bool>;

// Every row over every transport on which it is possible.
std::vector<Row> Rows() {
  std::vector<Row> rows;
  for (const Misbehaviour& row : Table()) {
    rows.emplace_back(row, true);
    if (!row.script.at_once) rows.emplace_back(row, false);  // a descriptor is sent at once
  }
  return rows;
}

// Those without a verdict.
std::vector<Row> Failures() {
  std::vector<Row> rows = Rows();
  std::erase_if(rows, [](const Row& row) { return std::get<0>(row).outcome != "engine-error"; });
  return rows;
}

std::string NameOf(const testing::TestParamInfo<Row>& row) {
  return std::get<0>(row.param).name + (std::get<1>(row.param) ? "Stream" : "Fildes");
}

class MisbehavingClamd : public testing::TestWithParam<Row> {
 protected:
  const Misbehaviour& row() const { return std::get<0>(GetParam()); }
  bool tcp() const { return std::get<1>(GetParam()); }
  TestDirectory root_;
};
class FailingClamd : public MisbehavingClamd {};
INSTANTIATE_TEST_SUITE_P(Table, MisbehavingClamd, testing::ValuesIn(Rows()), NameOf);
INSTANTIATE_TEST_SUITE_P(Table, FailingClamd, testing::ValuesIn(Failures()), NameOf);

TEST_P(MisbehavingClamd, NeverMakesAContentClean) {
  ScriptedClamd clamd(root_, tcp(), row().script);
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  const milliseconds time = row().outcome == "timeout" ? milliseconds(500) : milliseconds(kPatience);
  const auto verdict = runner.Scan(Padding(row().size), time);
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ(ToString(verdict->kind()), "unscannable");
  EXPECT_EQ(ToString(verdict->reason()), row().outcome) << verdict->detail();
}

TEST_P(FailingClamd, IsPassedOverForAGoodOne) {
  TestDirectory other;
  ScriptedClamd bad(root_, tcp(), row().script);
  ScriptedClamd good(other, tcp(), {.reply = "{}: Test.Good FOUND\0"s});
  PoolRunner runner(PoolOf({bad.address(), good.address()}));
  ASSERT_TRUE(runner.ServersUp(2));
  const auto verdict = runner.Scan(Padding(row().size));
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_THAT(verdict->signatures(), testing::ElementsAre("Test.Good")) << verdict->detail();
  EXPECT_EQ(bad.scripted_scans(), 1) << "it was asked first";
}

class ScriptedServer : public testing::TestWithParam<bool> {
 protected:
  TestDirectory root_;
};
INSTANTIATE_TEST_SUITE_P(Over, ScriptedServer, testing::Bool(),
                         [](const auto& over) { return over.param ? "Stream" : "Fildes"; });

TEST_P(ScriptedServer, IsBelievedWhenItBehaves) {
  ScriptedClamd clamd(root_, GetParam(), {.reply = "{}: OK\0"s});
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  for (const std::size_t size : {std::size_t{100}, kBig, std::size_t{kMost}}) {
    const auto verdict = runner.Scan(Padding(size));
    ASSERT_TRUE(verdict) << verdict.error().what;
    EXPECT_EQ(verdict->kind(), VerdictKind::kClean) << verdict->detail();
  }
}

TEST(ScriptedFildes, IsSentTheBytesWhenItTakesNoDescriptor) {
  TestDirectory root;
  ScriptedClamd clamd(root, false, {.reply = "{}: Test.Subject FOUND\0"s, .refuses_descriptors = true});
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  const auto verdict = runner.Scan(Padding(kBig));
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_THAT(verdict->signatures(), testing::ElementsAre("Test.Subject")) << verdict->detail();
}

TEST(ScriptedStream, ShowsItsSizeLimitThoughTheUploadIsCutOff) {
  TestDirectory root;
  ScriptedClamd clamd(root, true, {.reply = "INSTREAM size limit exceeded. ERROR\0"s, .at_once = true});
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  const auto verdict = runner.Scan(Padding(kBig));
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ(verdict->reason(), Reason::kLimitExceeded) << verdict->detail();
}

TEST_P(ScriptedServer, LabelsWithTheOlderOfTwoSets) {
  const std::pair<std::string, unsigned> kTable[] = {{"ClamAV 1.4.6/28130/Tue Nov 24 07:00:00 2026", 28'129},
                                                     {"ClamAV 1.4.6/28128/Sun Nov 22 07:00:00 2026", 28'128}};
  for (const auto& [after, label] : kTable) {
    ScriptedClamd clamd(root_, GetParam(), {.reply = "{}: OK\0"s, .version_after = after});
    PoolRunner runner(PoolOf({clamd.address()}));
    ASSERT_TRUE(runner.BecomesReady());
    const auto verdict = runner.Scan(Padding(100));
    ASSERT_TRUE(verdict) << verdict.error().what;
    EXPECT_EQ(verdict->record().engine->databases.at(0).version, label);
  }
}

TEST_P(ScriptedServer, SeesACancelledScanEnd) {
  ScriptedClamd clamd(root_, GetParam(), {.reply = "", .stay_open = true});
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  const auto cancel = runner.StartCancellable(Padding(100));
  ASSERT_TRUE(Eventually([&] { return clamd.scripted_scans() == 1; }));
  EXPECT_EQ(runner.pool().Servers().at(0).in_flight, 1u);
  cancel();
  EXPECT_TRUE(Eventually([&] { return clamd.closed_by_client() == 1; }));
  EXPECT_TRUE(Eventually([&] { return runner.pool().Servers().at(0).in_flight == 0; }));
}

TEST_P(ScriptedServer, IsNotGivenMoreThanItsConnections) {
  ScriptedClamd clamd(root_, GetParam(), {.reply = "", .stay_open = true});
  PoolRunner runner(PoolOf({clamd.address()}));
  ASSERT_TRUE(runner.BecomesReady());
  EXPECT_EQ(runner.pool().Slots(), 2u);
  const auto cancel_first = runner.StartCancellable(Padding(100));
  runner.StartCancellable(Padding(101));
  ASSERT_TRUE(Eventually([&] { return clamd.scripted_scans() == 2; }));
  const auto third = runner.Scan(Padding(102), milliseconds(200));
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error(), (Error{Errc::kUnavailable, "no clamd connection became free in time"}));
  EXPECT_EQ(clamd.scripted_scans(), 2);
  cancel_first();
  const auto fourth = runner.Scan(Padding(102), seconds(1));
  ASSERT_TRUE(fourth) << "a place is free again: " << fourth.error().what;
  EXPECT_EQ(fourth->reason(), Reason::kTimeout);
}

TEST_P(ScriptedServer, IsLeftAloneAfterFailuresInARow) {
  ScriptedClamd clamd(root_, GetParam(), {.reply = "garbage\0"s});
  auto settings = PoolOf({clamd.address()});
  settings.attempts = 5;
  PoolRunner runner(settings);
  ASSERT_TRUE(runner.BecomesReady());
  const auto verdict = runner.Scan(Padding(100));
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ(verdict->reason(), Reason::kEngineError) << "every server that there was has failed";
  EXPECT_EQ(clamd.scripted_scans(), 3);
  EXPECT_EQ(runner.pool().Current(), nullptr);
}

}  // namespace
}  // namespace lazaret::tests
