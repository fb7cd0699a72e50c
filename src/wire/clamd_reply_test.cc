#include "wire/clamd_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/scoped_time_zone.h"
#include "wire/clamd_answer.h"

namespace lazaret::wire {
namespace {

using namespace std::string_literals;

constexpr auto kStream = ClamdScanCommand::kInstream;
constexpr auto kFd = ClamdScanCommand::kFildes;

struct Understood {
  ClamdScanCommand command;
  std::string reply;
  ClamdFinding finding;
  std::string text;
};

TEST(ClamdReply, UnderstandsWhatClamdSays) {
  const Understood kTable[] = {
      {kStream, "stream: OK\0"s, ClamdFinding::kClean, ""},
      {kFd, "fd[12]: OK\0"s, ClamdFinding::kClean, ""},
      {kFd, "fd[1234567890]: OK\0"s, ClamdFinding::kClean, ""},
      {kStream, "stream: Win.Test.EICAR_HDB-1 FOUND\0"s, ClamdFinding::kInfected, "Win.Test.EICAR_HDB-1"},
      {kFd, "fd[9]: Eicar(44d88612:68) FOUND\0"s, ClamdFinding::kInfected, "Eicar(44d88612:68)"},
      {kStream, "stream: OK FOUND\0"s, ClamdFinding::kInfected, "OK"},
      {kStream, "stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0"s, ClamdFinding::kLimitExceeded,
       "Heuristics.Limits.Exceeded.MaxFileSize"},
      {kFd, "fd[9]: Heuristics.Limits.Exceeded FOUND\0"s, ClamdFinding::kLimitExceeded, "Heuristics.Limits.Exceeded"},
      {kFd, "fd[9]: Heuristics.Encrypted.Zip FOUND\0"s, ClamdFinding::kEncrypted, "Heuristics.Encrypted.Zip"},
      {kFd, "fd[9]: Heuristics.Broken.Executable FOUND\0"s, ClamdFinding::kInfected, "Heuristics.Broken.Executable"},
      {kStream, "INSTREAM size limit exceeded. ERROR\0"s, ClamdFinding::kLimitExceeded, "INSTREAM size limit exceeded"},
      {kStream, "stream: Can't allocate memory ERROR\0"s, ClamdFinding::kError, "Can't allocate memory"},
      {kStream, "Can't allocate memory ERROR\0"s, ClamdFinding::kError, "Can't allocate memory"},
      {kFd, "fd[3]: Time limit reached ERROR\0"s, ClamdFinding::kError, "Time limit reached"},
      {kFd, "fd[3]: OK ERROR\0"s, ClamdFinding::kError, "OK"},
      {kFd, "No file descriptor received. ERROR\0"s, ClamdFinding::kError, "No file descriptor received."},
  };
  for (const Understood& row : kTable) {
    const auto reply = ParseClamdScanReply(row.command, row.reply);
    ASSERT_TRUE(reply) << row.reply;
    EXPECT_EQ(*reply, (ClamdScanReply{row.finding, row.text})) << row.reply;
  }
}

TEST(ClamdReply, RefusesEverythingElse) {
  const std::pair<ClamdScanCommand, std::string> kTable[] = {
      {kStream, ""},
      {kStream, "\0"s},
      {kStream, "stream: OK"},
      {kStream, "stream: OK\n"},
      {kStream, "stream: O"},
      {kStream, "stream: OK\0\0"s},
      {kStream, "stream: OK\0stream: OK\0"s},
      {kStream, "stream: OK\0stream: Eicar FOUND\0"s},
      {kStream, "stream: OK\n\0"s},
      {kStream, "stream: \0OK\0"s},
      {kStream, "stream:  OK\0"s},
      {kStream, "stream: OK \0"s},
      {kStream, " stream: OK\0"s},
      {kStream, "Stream: OK\0"s},
      {kStream, "stream: ok\0"s},
      {kStream, "stream:OK\0"s},
      {kStream, "stream: \0"s},
      {kStream, "stream: NOT OK\0"s},
      {kStream, "stream: OK, or so\0"s},
      {kStream, "stream: OKAY\0"s},
      {kStream, "OK\0"s},
      {kStream, "1: stream: OK\0"s},
      {kStream, "fd[12]: OK\0"s},
      {kStream, "/tmp/x: OK\0"s},
      {kStream, "stream: FOUND\0"s},
      {kStream, "stream:  FOUND\0"s},
      {kStream, "stream: Eicar  FOUND\0"s},
      {kStream, "Eicar FOUND\0"s},
      {kStream, "stream: ERROR\0"s},
      {kStream, "stream: Ei\x80"s + "car FOUND\0"s},
      {kStream, "PONG\0"s},
      {kStream, "ClamAV 1.4.6\0"s},
      {kStream, "UNKNOWN COMMAND\0"s},
      {kStream, "COMMAND READ TIMED OUT\n"},
      {kFd, "stream: OK\0"s},
      {kFd, "fd[]: OK\0"s},
      {kFd, "fd[x]: OK\0"s},
      {kFd, "fd[-1]: OK\0"s},
      {kFd, "fd[12345678901]: OK\0"s},
      {kFd, "fd[12] OK\0"s},
      {kFd, "fd[12: OK\0"s},
      {kFd, "fd: OK\0"s},
      // Only its own command has this limit.
      {kStream, "INSTREAM size limit exceeded. OK\0"s},
  };
  for (const auto& [command, reply] : kTable) {
    const auto parsed = ParseClamdScanReply(command, reply);
    EXPECT_FALSE(parsed) << testing::PrintToString(reply);
  }
}

TEST(ClamdReply, NothingMeansALostConnection) {
  EXPECT_EQ(ParseClamdScanReply(kFd, "").error().code, Errc::kDisconnected);
  EXPECT_EQ(ParseClamdScanReply(kFd, "fd[1]: O").error().code, Errc::kMalformed);
}

TEST(ClamdReply, EveryPieceOfACleanReplyIsRefused) {
  const std::string whole = "stream: OK\0"s;
  for (std::size_t begin = 0; begin < whole.size(); ++begin) {
    for (std::size_t length = 0; begin + length <= whole.size(); ++length) {
      EXPECT_EQ(ParseClamdScanReply(kStream, whole.substr(begin, length)).has_value(), length == whole.size());
    }
  }
}

TEST(ClamdReply, HasALongestReply) {
  const auto reply = [](std::size_t size) {
    const std::string rest = " FOUND\0"s;
    return "stream: " + std::string(size - 8 - rest.size(), 'x') + rest;
  };
  EXPECT_EQ(reply(kMaxClamdReply).size(), kMaxClamdReply);
  EXPECT_TRUE(ParseClamdScanReply(kStream, reply(kMaxClamdReply)));
  EXPECT_FALSE(ParseClamdScanReply(kStream, reply(kMaxClamdReply + 1)));
}

TEST(ClamdReply, KnowsPong) {
  EXPECT_TRUE(ParseClamdPong("PONG\0"s));
  for (const std::string& reply : {""s, "PONG"s, "PONG\n"s, "PONG\0PONG\0"s, "1: PONG\0"s, "stream: OK\0"s}) {
    EXPECT_FALSE(ParseClamdPong(reply)) << testing::PrintToString(reply);
  }
}

TEST(ClamdReply, ReadsVersions) {
  using namespace std::chrono;
  const ScopedTimeZone zone("UTC");
  const auto plain = ParseClamdVersion("ClamAV 1.4.6\0"s);
  ASSERT_TRUE(plain);
  EXPECT_EQ(*plain, (ClamdVersion{"ClamAV 1.4.6", "1.4.6", {}, {}}));
  const auto full = ParseClamdVersion("ClamAV 1.5.0-rc2/28129/Tue Nov  3 07:05:09 2026\0"s);
  ASSERT_TRUE(full);
  EXPECT_EQ(full->engine, "1.5.0-rc2");
  EXPECT_EQ(full->daily, 28129u);
  EXPECT_EQ(full->built_at, WallTime(sys_days(November / 3 / 2026) + 7h + 5min + 9s));
}

TEST(ClamdReply, TakesTheDateForOneOfOurTimeZone) {
  using namespace std::chrono;
  const ScopedTimeZone zone("EST5EDT,M3.2.0,M11.1.0");
  // In winter, in summer, and on the day between.
  const std::pair<std::string, WallTime> kTable[] = {
      {"Mon Nov 23 02:00:00 2026", sys_days(November / 23 / 2026) + 7h},
      {"Thu Jul  2 23:30:00 2026", sys_days(July / 3 / 2026) + 3h + 30min},
      {"Sun Nov  1 03:30:00 2026", sys_days(November / 1 / 2026) + 8h + 30min},
  };
  for (const auto& [date, time] : kTable) {
    const std::string text = "ClamAV 1.4.6/28129/" + date;
    const auto version = ParseClamdVersion(text + '\0');
    ASSERT_TRUE(version) << text;
    EXPECT_EQ(version->built_at, time) << text;
    EXPECT_EQ(FormatClamdVersion(version->engine, ClamdDailyVersion{*version->daily, *version->built_at}), text)
        << "both ways";
  }
}

TEST(ClamdReply, ReadsADateThatOurTimeZoneDoesNotHave) {
  using namespace std::chrono;
  const ScopedTimeZone zone("EST5EDT,M3.2.0,M11.1.0");
  const auto version = ParseClamdVersion("ClamAV 1.4.6/28129/Sun Mar  8 02:30:00 2026\0"s);
  ASSERT_TRUE(version);
  EXPECT_GE(version->built_at, WallTime(sys_days(March / 8 / 2026) + 6h + 30min));
  EXPECT_LE(version->built_at, WallTime(sys_days(March / 8 / 2026) + 7h + 30min));
  EXPECT_EQ(ParseClamdVersion("ClamAV 1.4.6/28129/Wed Dec 31 18:59:59 1969\0"s)->built_at, WallTime(seconds(-1)));
}

TEST(ClamdReply, RefusesOtherVersions) {
  const std::string kTable[] = {
      "",
      "ClamAV 1.4.6",
      "ClamAV \0"s,
      "ClamAV 1.4.6/\0"s,
      "ClamAV 1.4.6/28129\0"s,
      "ClamAV 1.4.6/28129/\0"s,
      "ClamAV 1.4.6/28129/yesterday\0"s,
      "ClamAV 1.4.6/x/Tue Nov  3 07:05:09 2026\0"s,
      "ClamAV 1.4.6/-1/Tue Nov  3 07:05:09 2026\0"s,
      "ClamAV 1.4.6/28129/Tue Nov 31 07:05:09 2026\0"s,
      "ClamAV 1.4.6/28129/Tue Nov  3 24:05:09 2026\0"s,
      "ClamAV 1.4.6/28129/Tue Nov  3 07:05:09 2026/\0"s,
      "ClamAV 1.4.6| COMMANDS: SCAN\0"s,
      "Clam 1.4.6\0"s,
      "stream: OK\0"s,
      "ClamAV 1.4.6\0ClamAV 1.4.6\0"s,
      "ClamAV 1.4.6\n",
  };
  for (const std::string& reply : kTable) EXPECT_FALSE(ParseClamdVersion(reply)) << testing::PrintToString(reply);
}

}  // namespace
}  // namespace lazaret::wire
