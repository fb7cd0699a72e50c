// The clamd front door by itself: what it shares, what it bounds, how it ends.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <regex>

#include <fmt/format.h>

#include "integration/clamd_door_fixture.h"
#include "integration/clamd_process.h"
#include "integration/processes.h"

namespace lazaret::tests {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(ClamdDoorTest, UnscannableIsAnErrorOrFoundButNeverOk) {
  root_.Write("files/large", PlainText(3000));
  for (const bool found : {false, true}) {
    StartDoorWithHooks({"--set", "engine.max_file_size=2KiB", "--set", "engine.attempts=1", "--set",
                        found ? "clamd.unscannable=found" : "clamd.unscannable=error"});
    const std::string limit = found ? "Heuristics.Limits.Exceeded.MaxFileSize FOUND"
                                    : "Unscannable, limit-exceeded (Heuristics.Limits.Exceeded.MaxFileSize) ERROR";
    EXPECT_EQ(Ask(socket(), "zINSTREAM\0"s + Stream(PlainText(2048))), "stream: OK\0"s);
    EXPECT_EQ(Ask(socket(), "zINSTREAM\0"s + Stream(PlainText(2049))), "stream: " + limit + "\0"s);
    for (const std::string verb : {"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN"}) {
      EXPECT_EQ(Ask(socket(), "n" + verb + " " + files() + "/large\n"), files() + "/large: " + limit + "\n");
    }
    const std::string crash = Ask(socket(), "nINSTREAM\n" + Stream(Hook("crash")));
    EXPECT_THAT(crash, StartsWith("stream: Unscannable, engine-crashed")) << "it says nothing of the content";
    EXPECT_THAT(crash, testing::EndsWith(" ERROR\n"));
    EXPECT_EQ(server().Terminate(), 0);
  }
}

TEST_F(ClamdDoorTest, WithoutAnEngineEverythingButPingIsAnError) {
  std::filesystem::remove_all(root_ / "signatures");
  root_.MakeDirectory("signatures");
  Launch(DoorArguments({}));
  EXPECT_EQ(Ask(socket(), "zPING\0"s), "PONG\0"s);
  EXPECT_THAT(Ask(socket(), "nVERSION\n"), testing::MatchesRegex("No engine is ready: .* ERROR\n"));
  EXPECT_THAT(Ask(socket(), "nINSTREAM\n" + Stream("x")), testing::MatchesRegex("stream: Not scanned, .* ERROR\n"));
  EXPECT_THAT(Ask(socket(), "nSCAN " + files() + "/clean\n"), testing::MatchesRegex(".*: Not scanned, .* ERROR\n"));
  EXPECT_THAT(Ask(socket(), "nCONTSCAN " + files() + "/harmless\n"), testing::Not(HasSubstr("OK")));
  EXPECT_THAT(Ask(socket(), "nSTATS\n"), HasSubstr("STATE: INVALID"));
  EXPECT_THAT(Ask(socket(), "nIDSESSION\nnINSTREAM\n" + Stream("x") + "nPING\nnEND\n"),
              testing::MatchesRegex("1: stream: Not scanned, .* ERROR\n2: PONG\n"))
      << "a session goes on";
}

TEST_F(ClamdDoorTest, SharesTheCacheWithRest) {
  StartDoor();
  const auto hits = [&] { return Metric("lazaret_cache_lookups_total{result=\"hit\"}"); };
  const std::string first = EicarWithPrefix(100);
  EXPECT_THAT(Post(port(), "/v1/scan", first), HasVerdict("infected"));
  const double before = hits();
  EXPECT_THAT(Ask(socket(), "zINSTREAM\0"s + Stream(first)), HasSubstr("FOUND"));
  EXPECT_EQ(hits(), before + 1);
  root_.Write("files/again", first);
  EXPECT_THAT(Ask(socket(), "nSCAN " + files() + "/again\n"), HasSubstr("FOUND"));
  EXPECT_EQ(hits(), before + 2);
  const std::string second = EicarWithPrefix(101);
  EXPECT_THAT(Ask(socket(), "zINSTREAM\0"s + Stream(second)), HasSubstr("FOUND"));
  const auto answer = Post(port(), "/v1/scan", second);
  ASSERT_THAT(answer, HasVerdict("infected"));
  EXPECT_EQ(ParseJson(*answer).at("cached"), true);
}

TEST_F(ClamdDoorTest, AnswersPingWhileUploadsStall) {
  StartDoor();
  std::vector<std::unique_ptr<ClamdClient>> stalled;
  const std::string half = "zINSTREAM\0\0\1\0\0"s + std::string(32 * 1024, 'x');
  for (int i = 0; i < 500; ++i) {
    stalled.push_back(std::make_unique<ClamdClient>(socket()));
    ASSERT_TRUE(stalled.back()->Send(half)) << i;
  }
  double slowest = 0;
  for (int i = 0; i < 100; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ASSERT_EQ(Ask(socket(), "zPING\0"s), "PONG\0"s);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    slowest = std::max(slowest, took.count());
  }
  std::cout << fmt::format("slowest of 100 PINGs beside 500 stalled uploads: {:.2f} ms\n", slowest);
  EXPECT_EQ(Ask(socket(), "zINSTREAM\0"s + Stream("x")), "stream: OK\0"s);
  // All of them can still be finished.
  for (const auto& client : stalled) {
    client->Send(std::string(32 * 1024, 'x') + "\0\0\0\0"s);
    EXPECT_EQ(client->ReceiveAll(), "stream: OK\0"s);
  }
}

TEST_F(ClamdDoorTest, AnswersPingWhileAllScannersAreBusy) {
  StartDoorWithHooks({"--scanners", "1"});
  std::vector<std::unique_ptr<ClamdClient>> waiting;
  for (unsigned i = 0; i < 20; ++i) {
    waiting.push_back(std::make_unique<ClamdClient>(socket()));
    waiting.back()->Send("zINSTREAM\0"s + Stream(Hook("slow 300", i)));
  }
  EXPECT_EQ(Ask(socket(), "zPING\0"s), "PONG\0"s);
  EXPECT_THAT(Ask(socket(), "nSTATS\n"), HasSubstr("QUEUE: "));
  for (const auto& client : waiting) EXPECT_EQ(client->ReceiveAll(), "stream: OK\0"s);
}

TEST_F(ClamdDoorTest, OverloadIsAnError) {
  StartDoorWithHooks({"--scanners", "1", "--set", "queue.max_waiting=1"});
  std::vector<std::unique_ptr<ClamdClient>> waiting;
  for (unsigned i = 0; i < 10; ++i) {
    waiting.push_back(std::make_unique<ClamdClient>(socket()));
    waiting.back()->Send("nINSTREAM\n" + Stream(Hook("slow 500", i)));
  }
  std::map<std::string, int> answers;
  for (const auto& client : waiting) {
    const std::string answer = client->ReceiveAll();
    ++answers[answer == "stream: OK\n" ? "OK" : answer.ends_with(" ERROR\n") ? "ERROR" : answer];
  }
  EXPECT_EQ(answers["OK"] + answers["ERROR"], 10) << testing::PrintToString(answers);
  EXPECT_GE(answers["OK"], 1);
  EXPECT_GE(answers["ERROR"], 1);
  // Refused or not, the contents were not remembered as clean.
  EXPECT_EQ(Metric("lazaret_scan_duration_seconds_count"), answers["OK"]);
}

TEST_F(ClamdDoorTest, ClientsThatLeaveGiveEverythingBack) {
  StartDoorWithHooks({"--scanners", "1"});
  const std::size_t before = OpenDescriptors();
  for (int i = 0; i < 50; ++i) {
    ClamdClient in_stream(socket());
    in_stream.Send("zINSTREAM\0\0\1\0\0"s + std::string(1000, 'x'));
    ClamdClient in_session(socket());
    in_session.Send("zIDSESSION\0zINSTREAM\0"s + Stream(Hook("hang", 1)) + "zPING\0"s);
    ClamdClient waiting(socket());
    waiting.Send("zINSTREAM\0"s + Stream(Hook("hang", 2)));
  }
  EXPECT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"memory\"}", 0));
  EXPECT_TRUE(Eventually([&] { return OpenDescriptors() <= before + 4; })) << before << " " << OpenDescriptors();
  EXPECT_EQ(Ask(socket(), "zINSTREAM\0"s + Stream("x")), "stream: OK\0"s) << "nobody's scan keeps the scanner";
}

TEST_F(ClamdDoorTest, DescriptorsDoNotLeak) {
  StartDoor();
  const UniqueFd clean = OpenFile(root_ / "files/clean");
  const int fd = clean.Get();
  const std::vector<std::pair<std::string, std::vector<int>>> attacks = {
      {"zPING\0"s, {fd}},
      {"zPI", {fd}},
      {"zFILDES\0"s, {fd}},
      {"zFILDES\0\0"s, {fd, fd}},
      {"zFILDES\0\0"s, std::vector<int>(250, fd)},
      {"zINSTREAM\0\0\0\0\5x"s, {fd}},
      {"garbage", {fd, fd}},
      {"zIDSESSION\0zPING\0"s, std::vector<int>(10, fd)},
      {std::string(9000, 'z'), {fd}},
  };
  const auto attack = [&] {
    for (const auto& [bytes, fds] : attacks) {
      ClamdClient client(socket());
      client.Send(bytes, fds);
      client.CloseSending();
      client.ReceiveAll();
    }
  };
  attack();
  EXPECT_EQ(Ask(socket(), "zINSTREAM\0"s + Stream("x")), "stream: OK\0"s);
  std::size_t before = 0;
  EXPECT_TRUE(Eventually([&] { return std::exchange(before, OpenDescriptors()) == OpenDescriptors(); }));
  for (int i = 0; i < 30; ++i) attack();
  EXPECT_TRUE(Eventually([&] { return OpenDescriptors() <= before + 3; })) << before << " " << OpenDescriptors();
}

TEST_F(ClamdDoorTest, JudgesTheBytesThatItReadFromAChangingFile) {
  StartDoor();
  const std::string path = files() + "/changing";
  root_.Write("files/changing", EicarWithPrefix(200));
  EXPECT_THAT(Ask(socket(), "nSCAN " + path + "\n"), HasSubstr("FOUND"));
  root_.Write("files/changing", "harmless now");
  EXPECT_EQ(Ask(socket(), "nSCAN " + path + "\n"), path + ": OK\n");
  EXPECT_EQ(StatusOf("harmless now"), "done");
  EXPECT_THAT(Post(port(), "/v1/scan", EicarWithPrefix(200)), HasVerdict("infected")) << "nothing was mixed up";
}

TEST_F(ClamdDoorTest, BoundsConnections) {
  StartDoor({"--set", "clamd.max_connections=3"});
  std::vector<std::unique_ptr<ClamdClient>> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(std::make_unique<ClamdClient>(socket()));
    held.back()->Send("zIDSESSION\0zPING\0"s);
    EXPECT_EQ(held.back()->Receive('\0'), "1: PONG\0"s);
  }
  EXPECT_EQ(Ask(socket(), ""), "Too many connections (clamd.max_connections). ERROR\n");
  EXPECT_EQ(Metric("lazaret_clamd_connections"), 3);
  held.pop_back();
  EXPECT_TRUE(Eventually([&] { return Ask(socket(), "zPING\0"s) == "PONG\0"s; }));
}

TEST_F(ClamdDoorTest, AnswersManyRequestsOfOneSession) {
  StartDoor({"--set", "clamd.max_in_flight=2"});
  std::string requests = "zIDSESSION\0"s;
  for (unsigned i = 0; i < 100; ++i) {
    requests += "zINSTREAM\0"s + Stream(i % 2 == 0 ? EicarWithPrefix(i) : PlainText(100, i)) + "zPING\0"s;
  }
  ClamdClient client(socket());
  ASSERT_TRUE(client.Send(requests + "zEND\0"s));
  std::string replies = client.ReceiveAll();
  std::ranges::replace(replies, '\0', '\n');
  std::map<int, std::string> by_id;
  for (const std::string& line : Lines(replies)) {
    const auto [place, is_new] = by_id.emplace(std::stoi(line), line.substr(line.find(": ") + 2));
    EXPECT_TRUE(is_new) << line;
  }
  ASSERT_EQ(by_id.size(), 200u);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(by_id[2 * i + 1], i % 2 == 0 ? "stream: Test.Eicar.UNOFFICIAL FOUND" : "stream: OK") << i;
    EXPECT_EQ(by_id[2 * i + 2], "PONG");
  }
}

TEST_F(ClamdDoorTest, AnswersWhatIsUnderWayWhenItEnds) {
  StartDoor();
  ASSERT_TRUE(server().HaltScanners());
  ClamdClient idle(socket());
  idle.Send("zIDSESSION\0zPING\0"s);
  EXPECT_EQ(idle.Receive('\0'), "1: PONG\0"s);
  ClamdClient busy(socket());
  busy.Send("zINSTREAM\0"s + Stream("harmless"));
  ASSERT_TRUE(StatusBecomes("harmless", "scanning"));
  server().Signal(SIGTERM);
  ASSERT_TRUE(server().WaitForLog("\"ending\""));
  server().LetScannersGoOn();
  EXPECT_EQ(busy.ReceiveAll(), "stream: OK\0"s);
  EXPECT_EQ(idle.ReceiveAll(), "");
  EXPECT_EQ(server().WaitForEnd(), 0);
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(ClamdDoorTest, TakesOverTheSocketOfAServerThatWasKilled) {
  StartDoor({"--set", "clamd.socket_mode=0600"});
  struct stat status{};
  ASSERT_EQ(::stat(socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0600u);
  server().Kill();
  EXPECT_TRUE(std::filesystem::exists(socket()));
  StartDoor();
  EXPECT_EQ(Ask(socket(), "zPING\0"s), "PONG\0"s);
  ASSERT_EQ(::stat(socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777u, 0660u);
}

TEST_F(ClamdDoorTest, AnswersOverTcp) {
  StartDoor({"--clamd-listen", "tcp:127.0.0.1:0"});
  const auto line = server().WaitForLog("listening for clamd clients");
  ASSERT_TRUE(line);
  std::smatch port;
  ASSERT_TRUE(std::regex_search(*line, port, std::regex("127\\.0\\.0\\.1:([0-9]+)"))) << *line;
  const auto ask = [&](std::string_view request) {
    HttpConnection connection(static_cast<std::uint16_t>(std::stoi(port[1])));
    EXPECT_TRUE(connection.Send(request));
    connection.CloseSending();
    std::string reply;
    char buffer[4096];
    for (ssize_t n; (n = ::read(connection.fd(), buffer, sizeof buffer)) > 0;) {
      reply.append(buffer, static_cast<std::size_t>(n));
    }
    return reply;
  };
  EXPECT_EQ(ask("zPING\0"s), "PONG\0"s);
  EXPECT_EQ(ask("nINSTREAM\n" + Stream(EicarWithPrefix(300))), "stream: Test.Eicar.UNOFFICIAL FOUND\n")
      << "to a client that has finished sending, too";
  EXPECT_EQ(ask("zFILDES\0x"s), "No file descriptor received. ERROR\0"s);
  EXPECT_EQ(ask("nSCAN " + files() + "/eicar\n"), files() + "/eicar: Test.Eicar.UNOFFICIAL FOUND\n");
}

TEST_F(ClamdDoorTest, StandsInFrontOfClamdServers) {
  const ClamdProcess behind(root_, "behind");
  Launch(DoorArguments({"--engine", "clamd", behind.Flag(), "--set", "clamd_pool.require_alerts=false"}));
  ASSERT_TRUE(server().WaitUntilReady());
  EXPECT_EQ(Ask(socket(), "zINSTREAM\0"s + Stream(EicarWithPrefix(400))), "stream: Test.Eicar.UNOFFICIAL FOUND\0"s);
  EXPECT_EQ(Ask(socket(), "zINSTREAM\0"s + Stream("nothing")), "stream: OK\0"s);
  EXPECT_EQ(Ask(socket(), "zSCAN " + files() + "/eicar\0"s), files() + "/eicar: Test.Eicar.UNOFFICIAL FOUND\0"s);
}

TEST_F(ClamdDoorTest, RefusesReloadWhenToldSo) {
  StartDoor({"--set", "clamd.reload=refuse"});
  EXPECT_EQ(Ask(socket(), "zRELOAD\0"s), "COMMAND UNAVAILABLE\0"s);
}

}  // namespace
}  // namespace lazaret::tests
