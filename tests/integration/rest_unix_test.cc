// The REST interface over a Unix socket.
#include <signal.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class RestUnix : public ServerTest {
 protected:
  // With the socket beside the port that every test server has.
  std::vector<std::string> Listen(std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--listen", "unix:" + socket_.native()});
    return more;
  }
  mode_t Mode() const {
    struct stat found{};
    return ::lstat(socket_.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
  }

  const fs::path socket_ = root_ / "rest.sock";
};

TEST_F(RestUnix, ServesLikeAPort) {
  Start(Listen({"--threads", "2"}));
  EXPECT_TRUE(server().WaitForLog(fmt::format("127.0.0.1:{} unix:{}", port(), socket_.native())));
  EXPECT_THAT(Ask(socket_, "POST", "/v1/scan", Eicar()), HasVerdict("infected"));
  EXPECT_THAT(Ask(socket_, "GET", "/v1/scans/" + IdOf(Eicar())), HasStatus(200));
  EXPECT_THAT(Ask(socket_, "GET", "/none"), IsProblem(404, "unknown-path"));

  HttpConnection kept(socket_);
  const std::string large = PlainText(8 << 20);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(kept.Send(MakeRequest("POST", "/v1/scan", {}, large)));
    EXPECT_THAT(kept.Receive(), HasVerdict("clean"));
  }
  ASSERT_TRUE(kept.Send("no request\r\n\r\n"));
  EXPECT_THAT(kept.Receive(), IsProblem(400, "bad-head"));
  EXPECT_TRUE(kept.IsClosedByServer());
}

TEST_F(RestUnix, HasNothingForTheOperator) {
  Start(Listen());
  for (const std::string& path : {std::string("/v1/jobs"), "/v1/jobs/" + IdOf("x")}) {
    EXPECT_THAT(Get(port(), path), IsProblem(404, "unknown-path"));
    EXPECT_THAT(Ask(socket_, "GET", path), IsProblem(404, "unknown-path"));
    EXPECT_THAT(Ask(socket_, "DELETE", path), IsProblem(404, "unknown-path"));
  }
}

TEST_F(RestUnix, SharesTheSocketAmongItsThreads) {
  Start(Listen({"--threads", "4"}));
  std::vector<HttpConnection> clients;
  for (int i = 0; i < 50; ++i) clients.emplace_back(socket_);
  for (HttpConnection& client : clients) ASSERT_TRUE(client.Send(MakeRequest("GET", "/healthz")));
  for (HttpConnection& client : clients) EXPECT_THAT(client.Receive(), HasStatus(200));
}

TEST_F(RestUnix, IsOpenToItsGroupOrAsConfigured) {
  Launch(Listen());
  EXPECT_EQ(Mode(), 0660u);
  Launch(Listen({"--set", "http.socket_mode=0666"}));
  EXPECT_EQ(Mode(), 0666u);
}

TEST_F(RestUnix, RemovesItsFileWhenItEndsAndReplacesThatOfAKilledServer) {
  Start(Listen());
  EXPECT_EQ(server().Terminate(), 0);
  EXPECT_EQ(fs::symlink_status(socket_).type(), fs::file_type::not_found);
  Start(Listen());
  server().Kill();
  EXPECT_TRUE(fs::is_socket(socket_));
  Start(Listen());
  EXPECT_THAT(Ask(socket_, "POST", "/v1/scan", Eicar()), HasVerdict("infected"));
}

TEST_F(RestUnix, RefusesASocketThatIsTaken) {
  Start(Listen());
  ServerOptions options = Options();
  options.data = root_ / "other";
  options.arguments = Listen();
  ServerProcess second(options);
  EXPECT_EQ(second.WaitForEnd(), 1);
  EXPECT_THAT(second.Log(), HasSubstr(socket_.native() + ": somebody listens there already"));
  EXPECT_THAT(Ask(socket_, "GET", "/healthz"), HasStatus(200)) << "the first is not disturbed";
}

TEST_F(RestUnix, RefusesAFileThatIsNoSocket) {
  root_.Write("rest.sock", "precious");
  Launch(Listen());
  EXPECT_EQ(server().WaitForEnd(), 1);
  EXPECT_THAT(server().Log(), HasSubstr("there is a file already that is no socket"));
  EXPECT_EQ(fs::file_size(socket_), 8u);
}

TEST_F(RestUnix, NoticesThatAClientLeaves) {
  StartWithHooks(Listen({"--scanners", "1"}));
  double cancelled = 0;
  // By closing, by closing its sending half, and by either behind a request that it sent ahead.
  for (const std::string& ahead : {std::string(), MakeRequest("GET", "/healthz")}) {
    for (const bool half : {false, true}) {
      HttpConnection client(socket_);
      ASSERT_TRUE(client.Send(MakeRequest("POST", "/v1/scan", {}, Hook("hang"))));
      ASSERT_TRUE(MetricBecomes("lazaret_scanners{state=\"busy\"}", 1));
      // Not before: what comes along with the first request is read with it and hides nothing.
      ASSERT_TRUE(client.Send(ahead));
      if (half) {
        client.CloseSending();
      } else {
        client.Reset();
      }
      EXPECT_TRUE(MetricBecomes("lazaret_scanners_ended_total{cause=\"cancelled\"}", ++cancelled))
          << half << ahead.size();
    }
  }
}

TEST_F(RestUnix, AnswersWhatIsUnderWayWhenItEnds) {
  Start(Listen({"--scanners", "1"}));
  ASSERT_TRUE(server().HaltScanners());
  HttpConnection idle(socket_);
  HttpConnection scanning(socket_);
  ASSERT_TRUE(scanning.Send(MakeRequest("POST", "/v1/scan", {}, Eicar())));
  ASSERT_TRUE(StatusBecomes(Eicar(), "scanning"));
  server().Signal(SIGTERM);
  EXPECT_TRUE(idle.IsClosedByServer());
  EXPECT_TRUE(Eventually([&] { return !fs::exists(fs::symlink_status(socket_)); }));
  server().LetScannersGoOn();
  EXPECT_THAT(scanning.Receive(), HasVerdict("infected"));
  EXPECT_EQ(server().WaitForEnd(), 0);
}

}  // namespace
}  // namespace lazaret::tests
