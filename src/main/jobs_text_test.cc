#include "main/jobs_text.h"
#include "main/override_text.h"
#include "main/text.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace lazaret {
namespace {

using testing::HasSubstr;
using testing::Not;

const WallTime kNow = *ParseRfc3339("2026-11-23T16:00:00.000Z");

boost::json::object Json(const std::string& text) { return boost::json::parse(text).as_object(); }

TEST(JobTable, AlignsItsColumns) {
  const std::string a(64, 'a');
  const std::string b(64, 'b');
  const std::string text = JobTable(
      Json(R"({"jobs":[{"id":")" + a +
           R"(","state":"dead","size":1048576,"submitted_at":"2026-11-23T15:57:00.000Z","attempts":3,)"
           R"("verdict":"unscannable","reason":"engine-crashed","note":"crashed"},)"
           R"({"id":")" +
           b +
           R"(","state":"scanning","size":68,"submitted_at":"2026-11-23T15:59:15.123Z","attempts":12,"note":"slow"}],)"
           R"("counts":{"queued":4,"scanning":1,"done":2,"dead":10}})"),
      kNow);
  const std::string pad(62, ' ');
  EXPECT_EQ(text, "ID" + pad + "  STATE       SIZE  AGE  ATTEMPTS  OUTCOME\n" + a +
                      "  dead      1.0MiB   3m         3  unscannable: engine-crashed\n" + b +
                      "  scanning     68B  44s        12  slow\n" +
                      "\n2 of 17 jobs shown (4 queued, 1 scanning, 2 done, 10 dead)\n");
}

TEST(JobTable, ShowsWhatWasFound) {
  const auto outcome = [](const std::string& members) {
    const std::string text = JobTable(Json(R"({"jobs":[{"id":"x",)" + members + "}]}"), kNow);
    return text.substr(text.find("\nx") + 2);
  };
  EXPECT_THAT(outcome(R"("verdict":"infected","signatures":["A","B"],"note":"n")"), HasSubstr(" infected: A, B\n"));
  EXPECT_THAT(outcome(R"("verdict":"clean","signatures":[],"note":"")"), HasSubstr(" clean\n"));
  EXPECT_THAT(outcome(R"("note":"the scanner crashed")"), HasSubstr(" the scanner crashed\n"));
}

TEST(JobTable, BearsAnswersOfAnotherVersion) {
  EXPECT_EQ(JobTable(Json("{}"), kNow), "ID  STATE  SIZE  AGE  ATTEMPTS  OUTCOME\n");
  EXPECT_THAT(
      JobTable(Json(R"({"jobs":[1,{"id":5,"size":"x","attempts":-1,"submitted_at":"yesterday"}],"counts":7})"), kNow),
      HasSubstr("OUTCOME\n"));
  EXPECT_EQ(JobDetails(Json(R"({"id":"x","engine":3,"signatures":"y"})"), kNow), "id          x\n");
}

TEST(JobDetails, ShowsAllThatIsKnown) {
  EXPECT_EQ(
      JobDetails(Json(R"({"id":"x","state":"dead","size":2048,"submitted_at":"2026-11-23T15:00:00.000Z",)"
                      R"("finished_at":"2026-11-23T15:59:00.000Z","attempts":3,"lost":1,"note":"it crashed",)"
                      R"("has_content":true,"verdict":"unscannable","reason":"engine-crashed","detail":"signal 11",)"
                      R"("signatures":[],"scanned_at":"2026-11-23T15:59:00.000Z","scan_ms":1.5,)"
                      R"("engine":{"name":"ClamAV","version":"1.4.6","signature_set":"daily 28129"}})"),
                 kNow),
      "id          x\n"
      "state       dead\n"
      "size        2.0KiB (2048 bytes)\n"
      "submitted   2026-11-23T15:00:00.000Z (1h ago)\n"
      "finished    2026-11-23T15:59:00.000Z (1m ago)\n"
      "attempts    3\n"
      "lost        1\n"
      "content     kept\n"
      "verdict     unscannable\n"
      "reason      engine-crashed\n"
      "detail      signal 11\n"
      "scanned     2026-11-23T15:59:00.000Z\n"
      "engine      ClamAV 1.4.6, daily 28129\n"
      "note        it crashed\n");
}

TEST(Age, UsesTheLargestUnitThatFits) {
  const auto age = [](seconds by) { return Age(kNow - by, kNow); };
  EXPECT_EQ(age(seconds(0)), "0s");
  EXPECT_EQ(age(seconds(-5)), "0s");
  EXPECT_EQ(age(seconds(59)), "59s");
  EXPECT_EQ(age(seconds(60)), "1m");
  EXPECT_EQ(age(seconds(3599)), "59m");
  EXPECT_EQ(age(seconds(3600)), "1h");
  EXPECT_EQ(age(seconds(86399)), "23h");
  EXPECT_EQ(age(seconds(86400)), "1d");
  EXPECT_EQ(age(seconds(86400 * 400)), "400d");
}

TEST(ShortSize, HasAFewDigits) {
  EXPECT_EQ(ShortSize(0), "0B");
  EXPECT_EQ(ShortSize(1023), "1023B");
  EXPECT_EQ(ShortSize(1024), "1.0KiB");
  EXPECT_EQ(ShortSize(1536), "1.5KiB");
  EXPECT_EQ(ShortSize(12 * 1024), "12KiB");
  EXPECT_EQ(ShortSize(1024 * 1024 - 1), "1.0MiB");
  EXPECT_EQ(ShortSize(4ull << 30), "4.0GiB");
  EXPECT_EQ(ShortSize(UINT64_MAX), "16384PiB");
}

TEST(Printable, TakesAwayWhatATerminalObeys) {
  EXPECT_EQ(Printable("plain gr\xC3\xBC\xC3\x9F"), "plain gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(Printable("\x1B[2J\n\r\t\x7F"), "?[2J????");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "31m\xC2\xA0"),
            "?31m\xC2\xA0");
  EXPECT_EQ(Printable("\xC2"), "\xC2");
  const std::string text = JobTable(Json("{\"jobs\":[{\"id\":\"x\",\"note\":\"\\u001b]0;gotcha\\u0007\"}]}"), kNow);
  EXPECT_THAT(text, HasSubstr("?]0;gotcha?"));
  EXPECT_THAT(text, Not(HasSubstr("\x1B")));
}

}  // namespace
}  // namespace lazaret
