// A server's start and end, what survives between them, and what it logs meanwhile.
#include <signal.h>
#include <sys/stat.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fstream>

#include <fmt/format.h>

#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

namespace fs = std::filesystem;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

class ServerLife : public ServerTest {
 protected:
  bool StoresItsVerdicts(double count) const { return MetricBecomes("lazaret_cache_entries", count); }

  // The exit status and what was printed by a server that cannot start.
  static std::pair<std::optional<int>, std::string> Fail(const ServerOptions& options) {
    ServerProcess process(options);
    EXPECT_EQ(process.port(), 0);
    const auto status = process.WaitForEnd();
    return {status, process.Log()};
  }
  // Where every user can reach it: the checkout may lie below /root.
  fs::path CopyOfTheProgram() const {
    const fs::path program = LAZARET_PROGRAM;
    const fs::path copy = root_.MakeDirectory("bin");
    for (const char* name : {"lazaret", "lazaret-scanner"}) {
      fs::copy_file(program.parent_path() / name, copy / name, fs::copy_options::overwrite_existing);
    }
    return copy / "lazaret";
  }
  static Result<HttpResponse> SendAlone(std::uint16_t port, const std::string& bytes) {
    HttpConnection connection(port);
    (void)connection.Send(bytes);
    return connection.Receive();
  }
  static std::vector<ProcessHandle> Watch(const std::vector<pid_t>& pids) {
    std::vector<ProcessHandle> handles;
    for (const pid_t pid : pids) handles.emplace_back(pid);
    return handles;
  }
  // The zygote and its scanners, once all of them run.
  std::vector<ProcessHandle> WatchEngine(std::size_t scanners) {
    EXPECT_TRUE(Eventually([&] { return server().ScannerPids().size() == scanners; }));
    auto pids = server().ScannerPids();
    pids.push_back(server().ZygotePid().value_or(0));
    return Watch(pids);
  }
};

TEST_F(ServerLife, IsNotReadyWithoutSignaturesAndThenIs) {
  fs::remove_all(root_ / "signatures");
  Launch();
  ASSERT_NE(port(), 0);
  ASSERT_TRUE(server().WaitForLog("engine cannot start"));
  EXPECT_THAT(Get(port(), "/healthz"), HasStatus(200));
  for (const auto& answer : {Get(port(), "/readyz"), Post(port(), "/v1/scan", "x")}) {
    ASSERT_THAT(answer, IsProblem(503, "not-ready"));
    const std::string detail = TextOf(ParseJson(*answer), "detail");
    EXPECT_THAT(detail, HasSubstr((root_ / "signatures").native()));
    EXPECT_THAT(detail, HasSubstr("freshclam"));
    EXPECT_TRUE(answer->Find("Retry-After"));
  }
  const auto info = ParseJson(*Get(port(), "/v1/info"));
  EXPECT_EQ(TextOf(info, "status"), "not-ready");
  EXPECT_TRUE(info.at("engine").is_null());
  EXPECT_EQ(Metric("clamav_up"), 0);

  // An empty directory, one without signatures, signatures that do not load: none of them is ready.
  root_.Write("signatures/README", "nothing here");
  EXPECT_TRUE(server().WaitForLog("no signatures in"));
  root_.Write("signatures/bad.ndb", "this is no signature\n");
  EXPECT_TRUE(Eventually([&] {
    const auto answer = Get(port(), "/readyz");
    return answer && answer->status == 503 &&
           TextOf(ParseJson(*answer), "detail").find("no signatures in") == std::string::npos;
  }));
  fs::remove(root_ / "signatures/bad.ndb");
  root_.Write("signatures/test.hdb", fmt::format("{}:4:Test.New\n", "9003d1df22eb4d3820015070385194c8"));
  EXPECT_TRUE(server().WaitUntilReady());
  EXPECT_THAT(Post(port(), "/v1/scan", "pwd\n"), HasStatus(200));
}

TEST_F(ServerLife, RefusesAPortThatIsTaken) {
  Start();
  ServerOptions options = Options();
  options.data = root_ / "other";
  options.arguments = {"--set", fmt::format("listen=127.0.0.1:{}", port())};
  const auto [status, log] = Fail(options);
  EXPECT_EQ(status, 1) << log;
  EXPECT_THAT(log, HasSubstr(fmt::format("127.0.0.1:{}", port())));
  EXPECT_THAT(log, HasSubstr("in use"));
}

TEST_F(ServerLife, RefusesDataThatAnotherServerUses) {
  Start();
  const auto [status, log] = Fail(Options());
  EXPECT_EQ(status, 1) << log;
  EXPECT_THAT(log, HasSubstr("another server uses the data directory"));
  EXPECT_THAT(log, HasSubstr((root_ / "data").native()));
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected")) << "the first is not disturbed";
}

TEST_F(ServerLife, RefusesDataThatItCannotWrite) {
  root_.Write("file", "in the way");
  ServerOptions options = Options();
  options.data = root_ / "file";
  const auto [in_the_way, first_log] = Fail(options);
  EXPECT_EQ(in_the_way, 1);
  EXPECT_THAT(first_log, HasSubstr((root_ / "file").native()));
  EXPECT_THAT(first_log, HasSubstr("--data"));

  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  for (const fs::path& data : {root_ / "missing", root_ / "signatures"}) {
    options.data = data;
    options.user = 65534;
    options.program = CopyOfTheProgram();
    const auto [status, log] = Fail(options);
    EXPECT_EQ(status, 1) << log;
    EXPECT_THAT(log, HasSubstr(data.native()));
    EXPECT_THAT(log, HasSubstr("Permission denied"));
    EXPECT_THAT(log, HasSubstr("--data"));
  }
}

TEST_F(ServerLife, RunsAsAnOrdinaryUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "the other tests do it";
  fs::create_directory(root_ / "mine");
  ASSERT_EQ(::chown((root_ / "mine").c_str(), 65534, 65534), 0);
  ServerOptions options = Options();
  options.data = root_ / "mine";
  options.user = 65534;
  options.program = CopyOfTheProgram();
  ServerProcess process(options);
  ASSERT_TRUE(process.WaitUntilReady()) << process.Log();
  EXPECT_THAT(Post(process.port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  EXPECT_EQ(process.Terminate(), 0);
}

TEST_F(ServerLife, NamesAMissingScannerProgram) {
  ServerOptions options = Options();
  options.arguments = {"--set", "engine.scanner_program=/nonexistent/scanner"};
  const auto [status, log] = Fail(options);
  EXPECT_EQ(status, 1);
  EXPECT_THAT(log, HasSubstr("/nonexistent/scanner"));
  EXPECT_THAT(log, HasSubstr("engine.scanner_program"));
}

TEST_F(ServerLife, IsNotReadyWithAScannerProgramThatIsNone) {
  root_.Write("scanner", "#!/bin/sh\nexit 3\n");
  fs::permissions(root_ / "scanner", fs::perms(0755));
  Launch({"--set", "engine.scanner_program=" + (root_ / "scanner").native()});
  ASSERT_TRUE(server().WaitForLog("engine cannot start"));
  EXPECT_THAT(Post(port(), "/v1/scan", "x"), IsProblem(503, "not-ready"));
  EXPECT_EQ(server().Terminate(), 0);
}

TEST_F(ServerLife, RefusesAConfigurationThatIsWrong) {
  for (const auto& [argument, cause] : std::vector<std::pair<std::string, std::string>>{
           {"htttp.max_parts=3", "http.max_parts"}, {"http.max_parts=0", "1 to 100000"}, {"http.max_parts=x", "x"}}) {
    ServerOptions options = Options();
    options.arguments = {"--set", argument};
    const auto [status, log] = Fail(options);
    EXPECT_EQ(status, 2) << log;
    EXPECT_THAT(log, HasSubstr(cause));
  }
}

TEST_F(ServerLife, RemembersVerdictsOverARestart) {
  Start();
  ASSERT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  // Nothing is waited for: what was answered before the signal is kept.
  EXPECT_EQ(server().Terminate(), 0);
  Start();
  const auto again = Post(port(), "/v1/scan", Eicar());
  ASSERT_THAT(again, HasVerdict("infected"));
  EXPECT_TRUE(ParseJson(*again).at("cached").as_bool());

  ASSERT_THAT(Post(port(), "/v1/scan", "harmless"), HasVerdict("clean"));
  ASSERT_TRUE(StoresItsVerdicts(2));
  server().Kill();
  Start();
  for (const std::string& content : {Eicar(), std::string("harmless")}) {
    const auto known = Post(port(), "/v1/scan", content);
    ASSERT_THAT(known, HasStatus(200));
    EXPECT_TRUE(ParseJson(*known).at("cached").as_bool()) << content.size();
  }
}

TEST_F(ServerLife, StartsWithoutItsDamagedCache) {
  Start();
  ASSERT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  ASSERT_EQ(server().Terminate(), 0);
  root_.Write("data/verdicts.db", "SQLite format 3" + PlainText(5000));
  Start();
  EXPECT_TRUE(server().WaitForLog("verdict cache damaged"));
  EXPECT_THAT(Get(port(), "/v1/scans/" + IdOf(Eicar())), HasStatus(404));
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  std::size_t aside = 0;
  for (const auto& entry : fs::directory_iterator(root_ / "data")) {
    aside += entry.path().filename().native().starts_with("verdicts.db.corrupt-") ? 1 : 0;
  }
  EXPECT_EQ(aside, 1u);
}

TEST_F(ServerLife, LogsNeitherNamesNorContents) {
  for (const std::string format : {"json", "text"}) {
    ServerOptions options = Options();
    options.log_format = format;
    options.data = root_ / format;
    ServerProcess process(options);
    ASSERT_TRUE(process.WaitUntilReady());
    const std::string secret = "telltale";
    const std::string content = secret + " content\n" + Eicar();
    EXPECT_THAT(Post(process.port(), "/v1/scan?name=" + secret, content), HasVerdict("infected"));
    EXPECT_THAT(
        Post(process.port(), "/v1/scan", MakeMultipart({{secret, secret + ".txt", content + "2"}}), MultipartHeaders()),
        HasStatus(200));
    EXPECT_THAT(Post(process.port(), "/v1/scan", MakeMultipart({{secret, secret, secret}}),
                     {{"Content-Type", "multipart/form-data; boundary=" + secret}}),
                HasStatus(400));
    EXPECT_THAT(Get(process.port(), "/" + secret), HasStatus(404));
    EXPECT_THAT(Post(process.port(), "/v1/scan?on_infected=" + secret, secret), HasStatus(400));
    EXPECT_THAT(Post(process.port(), "/v1/scan", secret, {{"Repr-Digest", "sha-256=" + secret}}), HasStatus(400));
    EXPECT_THAT(SendAlone(process.port(), secret + " " + secret + "\r\n\r\n"), HasStatus(400));
    EXPECT_TRUE(process.WaitForLog(IdOf(content))) << "the scan itself is logged";
    EXPECT_EQ(process.Terminate(), 0);
    EXPECT_THAT(process.Log(), Not(HasSubstr(secret)));
    if (format == "text") continue;
    for (const std::string& line : process.LogLines()) {
      boost::system::error_code failed;
      const auto value = boost::json::parse(line, failed);
      ASSERT_TRUE(!failed && value.is_object()) << line;
      for (const char* key : {"time", "level", "event"}) EXPECT_NE(TextOf(value.get_object(), key), "") << line;
    }
  }
}

TEST_F(ServerLife, AnswersWhatIsUnderWayWhenItEnds) {
  Start({"--scanners", "1", "--set", "http.idle_timeout=1h"});
  const auto engine = WatchEngine(2);
  ASSERT_TRUE(server().HaltScanners());
  HttpConnection idle(port());
  ASSERT_TRUE(idle.Send(MakeRequest("GET", "/healthz")));
  ASSERT_THAT(idle.Receive(), HasStatus(200));
  HttpConnection silent(port());
  HttpConnection scanning(port());
  ASSERT_TRUE(scanning.Send(MakeRequest("POST", "/v1/scan", {}, "harmless")));
  ASSERT_TRUE(StatusBecomes("harmless", "scanning"));
  HttpConnection waiting(port());
  ASSERT_TRUE(waiting.Send(MakeRequest("POST", "/v1/scan", {}, EicarWithPrefix(1))));
  ASSERT_TRUE(StatusBecomes(EicarWithPrefix(1), "queued"));
  HttpConnection sending(port());
  const std::string request = MakeRequest("POST", "/v1/scan", {}, EicarWithPrefix(2));
  ASSERT_TRUE(sending.Send(std::string_view(request).substr(0, request.size() - 5)));
  ASSERT_TRUE(MetricBecomes("lazaret_http_connections", 6)) << "all five and the one that asks";

  server().Signal(SIGTERM);
  EXPECT_TRUE(idle.IsClosedByServer());
  EXPECT_TRUE(silent.IsClosedByServer());
  EXPECT_TRUE(Eventually([&] { return !HttpConnection(port()).is_open(); })) << "nothing new is accepted";
  ASSERT_TRUE(sending.Send(std::string_view(request).substr(request.size() - 5)));
  server().LetScannersGoOn();
  for (HttpConnection* const connection : {&scanning, &waiting, &sending}) {
    const auto answer = connection->Receive();
    EXPECT_THAT(answer, HasVerdict(connection == &scanning ? "clean" : "infected"));
    if (answer) EXPECT_EQ(answer->Find("Connection"), "close");
    EXPECT_TRUE(connection->IsClosedByServer());
  }
  EXPECT_EQ(server().WaitForEnd(), 0);
  for (const ProcessHandle& process : engine) EXPECT_TRUE(process.WaitForEnd()) << process.pid();
  Start();
  const auto kept = Post(port(), "/v1/scan", EicarWithPrefix(1));
  ASSERT_THAT(kept, HasVerdict("infected"));
}

TEST_F(ServerLife, DoesNotWaitLongerThanItShould) {
  StartWithHooks({"--scanners", "1", "--set", "drain_timeout=200ms"});
  const auto engine = WatchEngine(2);
  HttpConnection scanning(port());
  ASSERT_TRUE(scanning.Send(MakeRequest("POST", "/v1/scan", {}, Hook("hang"))));
  ASSERT_TRUE(StatusBecomes(Hook("hang"), "scanning"));
  HttpConnection half(port());
  ASSERT_TRUE(half.Send("GET /healthz"));
  EXPECT_EQ(server().Terminate(), 0);
  const auto answer = scanning.Receive();
  EXPECT_TRUE(!answer || answer->status == 503) << "never a verdict";
  for (const ProcessHandle& process : engine) EXPECT_TRUE(process.WaitForEnd()) << process.pid();
}

TEST_F(ServerLife, EndsAtOnceOnASecondSignal) {
  StartWithHooks({"--scanners", "1"});
  const auto engine = WatchEngine(2);
  HttpConnection scanning(port());
  ASSERT_TRUE(scanning.Send(MakeRequest("POST", "/v1/scan", {}, Hook("hang"))));
  ASSERT_TRUE(StatusBecomes(Hook("hang"), "scanning"));
  server().Signal(SIGINT);
  ASSERT_TRUE(server().WaitForLog("\"ending\""));
  ASSERT_TRUE(Eventually([&] { return !HttpConnection(port()).is_open(); }));
  server().Signal(SIGTERM);
  EXPECT_EQ(server().WaitForEnd(), -SIGTERM);
  for (const ProcessHandle& process : engine) EXPECT_TRUE(process.WaitForEnd()) << process.pid();
}

TEST_F(ServerLife, EndsBeforeItIsReady) {
  fs::remove_all(root_ / "signatures");
  Launch();
  EXPECT_EQ(server().Terminate(), 0);
}

TEST_F(ServerLife, TakesItsScannersAlongWhenItIsKilled) {
  StartWithHooks({"--scanners", "3"});
  const auto engine = WatchEngine(4);
  HttpConnection scanning(port());
  ASSERT_TRUE(scanning.Send(MakeRequest("POST", "/v1/scan", {}, Hook("hang"))));
  ASSERT_TRUE(StatusBecomes(Hook("hang"), "scanning"));
  server().Kill();
  for (const ProcessHandle& process : engine) EXPECT_TRUE(process.WaitForEnd()) << process.pid();
}

TEST_F(ServerLife, LeavesNoTemporaryFilesBehind) {
  // Without mounts of their own the scanners' temporary directories can be seen from outside.
  root_.Write("scanner", std::string("#!/bin/sh\nexec ") + LAZARET_SCANNER_HOOKS + " \"$@\" --no-mounts\n");
  fs::permissions(root_ / "scanner", fs::perms(0755));
  Start({"--set", "engine.scanner_program=" + (root_ / "scanner").native()});
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  ASSERT_TRUE(fs::is_directory(root_ / "data/scanners/0/0"));
  root_.Write("data/scanners/0/0/unpacked", "what a scanner left when it was killed");
  EXPECT_EQ(server().Terminate(), 0);
  EXPECT_FALSE(fs::exists(root_ / "data/scanners/0/0/unpacked"));
}

}  // namespace
}  // namespace lazaret::tests
