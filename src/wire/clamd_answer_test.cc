#include "wire/clamd_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/scoped_time_zone.h"

namespace lazaret::wire {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

TEST(ClamdAnswer, EndsAsTheCommandDid) {
  EXPECT_EQ(ClamdAnswer(0, '\0').Ok("stream"), "stream: OK\0"s);
  EXPECT_EQ(ClamdAnswer(0, '\n').Found("/a", "Eicar-Test"), "/a: Eicar-Test FOUND\n");
  EXPECT_EQ(ClamdAnswer(0, '\n').Error("/a", kClamdAccessDenied), "/a: Access denied. ERROR\n");
  EXPECT_EQ(ClamdAnswer(0, '\0').Failure(kClamdStreamTooLarge), "INSTREAM size limit exceeded. ERROR\0"s);
  EXPECT_EQ(ClamdAnswer(0, '\n').Plain(kClamdPong), "PONG\n");
}

TEST(ClamdAnswer, BeginsWithTheIdInASession) {
  EXPECT_EQ(ClamdAnswer(7, '\0').Ok("fd[12]"), "7: fd[12]: OK\0"s);
  EXPECT_EQ(ClamdAnswer({.verb = ClamdVerb::kPing, .id = 2, .terminator = '\n'}).Plain(kClamdPong), "2: PONG\n");
  EXPECT_EQ(ClamdAnswer(1, '\n').Failure(kClamdOldStyleInSession),
            "1: Only nCMDS\\n and zCMDS\\0 are accepted inside IDSESSION. ERROR\n");
}

TEST(ClamdAnswer, LetsNoNameForgeAReply) {
  EXPECT_EQ(ClamdAnswer(0, '\n').Ok("/x: OK\n/y"), "/x: OK?/y: OK\n");
  EXPECT_EQ(ClamdAnswer(0, '\0').Ok("/x\n/y"), "/x\n/y: OK\0"s) << "the names of z commands stay as they are";
  EXPECT_EQ(ClamdAnswer(0, '\0').Error("s", "a\nb\0c\x7f"s), "s: a b c  ERROR\0"s);
  EXPECT_EQ(ClamdAnswer(0, '\n').Error("s", std::string(400, 'x')), "s: " + std::string(400, 'x') + " ERROR\n");
  EXPECT_EQ(ClamdAnswer(0, '\n').Error("s", std::string(401, 'x')), "s: " + std::string(400, 'x') + " ERROR\n");
}

TEST(ClamdVersion, HasTheDailyDatabaseIfThereIsOne) {
  const ScopedTimeZone zone("UTC");
  EXPECT_EQ(FormatClamdVersion("1.4.6", std::nullopt), "ClamAV 1.4.6");
  const ClamdDailyVersion daily{27945, WallTime(seconds(1773901478))};
  EXPECT_EQ(FormatClamdVersion("1.4.6", daily), "ClamAV 1.4.6/27945/Thu Mar 19 06:24:38 2026");
  EXPECT_EQ(FormatClamdVersion("1.4.6", ClamdDailyVersion{1, WallTime(seconds(0))}),
            "ClamAV 1.4.6/1/Thu Jan  1 00:00:00 1970");
  EXPECT_THAT(ClamdVersionCommands("V"), testing::StartsWith("V| COMMANDS: SCAN QUIT RELOAD "));
}

TEST(ClamdStats, HasTheLayoutThatClamdtopReads) {
  const std::string text = FormatClamdStats({.ready = true,
                                             .threads_live = 3,
                                             .threads_idle = 1,
                                             .threads_max = 4,
                                             .idle_timeout_s = 30,
                                             .queued = 9,
                                             .memory_used = 1024 * 1024 / 2,
                                             .memory_total = 8 * 1024 * 1024});
  EXPECT_EQ(text,
            "POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 3  idle 1 max 4 idle-timeout 30\nQUEUE: 9 items\n"
            "\tSTATS 0.000000 \n\nMEMSTATS: heap N/A mmap N/A used N/A free N/A releasable N/A pools 1 pools_used "
            "0.500M pools_total 8.000M\nEND");
  EXPECT_THAT(FormatClamdStats({}), HasSubstr("STATE: INVALID PRIMARY\n"));
}

}  // namespace
}  // namespace lazaret::wire
