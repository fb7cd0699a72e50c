#include <boost/json/parse.hpp>

#include <fstream>
#include <iterator>

#include "integration/run_lazaret.h"
#include "integration/server_fixture.h"

// The load generator against a real server.
namespace lazaret::tests {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class LoadGenerator : public ServerTest {
 protected:
  LoadGenerator() {
    root_.MakeDirectory("corpus");
    root_.Write("corpus/clean.txt", PlainText(5000));
    root_.Write("corpus/eicar.com", Eicar());
  }

  std::string Url(std::string_view path = "") const {
    return "http://127.0.0.1:" + std::to_string(port()) + std::string(path);
  }
  std::string Corpus() const { return (root_ / "corpus").native(); }

  static Outcome Load(std::vector<std::string> arguments) { return RunLazaret(std::move(arguments), LAZARET_LOAD); }
  // The object that --json prints.
  static boost::json::object Json(const Outcome& outcome) {
    boost::system::error_code error;
    const auto value = boost::json::parse(outcome.out, error);
    EXPECT_TRUE(value.is_object()) << outcome.out << outcome.err;
    return value.is_object() ? value.as_object() : boost::json::object{};
  }
  static std::int64_t Answers(const Outcome& outcome) { return Json(outcome)["answers"].to_number<std::int64_t>(); }
  static std::string ReadFile(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(LoadGenerator, SendsACorpusAndWritesWhatWasSaidOfIt) {
  Start();
  const std::string answers = root_ / "answers";
  const auto outcome =
      Load({Url(), "--corpus", Corpus(), "--passes", "3", "--connections", "2", "--json", "--answers", answers});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_EQ(Answers(outcome), 6);
  const std::string written = ReadFile(answers);
  EXPECT_THAT(written, StartsWith("clean.txt\tclean\t\neicar.com\tinfected\t"));
}

TEST_F(LoadGenerator, FailsOnAVerdictThatIsNotTheExpectedOne) {
  Start();
  const auto outcome = Load({Url(), "--corpus", Corpus(), "--passes", "1", "--json", "--expect", "clean"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(Answers(outcome), 1);
  EXPECT_EQ(Json(outcome)["defects"].as_object()["verdict infected, not clean"].to_number<int>(), 1) << outcome.out;
}

TEST_F(LoadGenerator, ComparesWithTheAnswersOfAnEarlierRun) {
  Start();
  root_.Write("right", "clean.txt\tclean\t\neicar.com\tinfected\tx\n");
  root_.Write("wrong", "clean.txt\tinfected\tx\neicar.com\tinfected\tx\n");
  const auto with = [&](const char* answers) {
    return Load({Url(), "--corpus", Corpus(), "--passes", "1", "--json", "--expect", (root_ / answers).native()})
        .status;
  };
  EXPECT_EQ(with("right"), 0);
  EXPECT_EQ(with("wrong"), 1);
}

TEST_F(LoadGenerator, SendsABodyAfterItsDigestOnlyWhenItIsAskedFor) {
  Start();
  const std::vector<std::string> command = {Url(),        "--body-size", "300000", "--hash-first",
                                            "--requests", "1",           "--json"};
  const auto unknown = Load(command), known = Load(command);
  EXPECT_EQ(unknown.status, 0) << unknown.out << unknown.err;
  EXPECT_EQ(known.status, 0) << known.out << known.err;
  EXPECT_EQ(Json(unknown)["sent_bytes"].to_number<std::int64_t>(), 300'000);
  EXPECT_EQ(Json(known)["sent_bytes"].to_number<std::int64_t>(), 0);
  EXPECT_EQ(Answers(known), 1);
}

TEST_F(LoadGenerator, AsksForScansByTheirId) {
  Start();
  const std::vector<std::string> get = {
      Url("/v1/scans/{id}"), "--get", "--corpus", Corpus(), "--passes", "1", "--json"};
  EXPECT_EQ(Json(Load(get))["defects"].as_object()["status 404"].to_number<int>(), 2);
  ASSERT_EQ(Load({Url(), "--corpus", Corpus(), "--passes", "1"}).status, 0);
  EXPECT_EQ(Load(get).status, 0);
}

TEST_F(LoadGenerator, AsksForTheIdsOfAFileInTurn) {
  Start();
  ASSERT_EQ(Load({Url(), "--corpus", Corpus(), "--passes", "1"}).status, 0);
  const auto id = [](const std::string& content) { return Sha256::Of(AsBytes(content)).Hex(); };
  root_.Write("ids", id(PlainText(5000)) + "\n" + std::string(64, '0') + "\n" + id(Eicar()) + "\n");
  const auto outcome = Load(
      {Url("/v1/scans/{id}"), "--get", "--ids", root_ / "ids", "--passes", "2", "--allow-status", "404", "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_EQ(Answers(outcome), 4);
  EXPECT_EQ(Json(outcome)["allowed"].as_object()["404"].to_number<int>(), 2) << outcome.out;
}

TEST_F(LoadGenerator, CountsWhatItSendsAgainOverANewConnection) {
  Start({"--set", "http.idle_timeout=100ms"});
  // One a second: each finds that the server has ended the connection.
  const auto outcome = Load({Url(), "--body-size", "10", "--rate", "1", "--requests", "3", "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_EQ(Answers(outcome), 3);
  EXPECT_EQ(Json(outcome)["retried"].to_number<int>(), 2) << outcome.out;
  const auto kept = Load({Url(), "--body-size", "10", "--requests", "3", "--json"});
  EXPECT_EQ(Json(kept)["retried"].to_number<int>(), 0) << kept.out;
}

TEST_F(LoadGenerator, SaysHowBusyItWasItself) {
  Start();
  const auto idle = Json(Load({Url(), "--body-size", "10", "--rate", "2", "--requests", "2", "--json"}));
  EXPECT_GT(idle.at("cpu_seconds").to_number<double>(), 0);
  EXPECT_LT(idle.at("busy").to_number<double>(), 0.5) << "it waited for half a second";
  const auto busy = Json(
      Load({Url(), "--body-size", "1KiB", "--connections", "64", "--threads", "2", "--duration", "0.5", "--json"}));
  EXPECT_GT(busy.at("busy").to_number<double>(), idle.at("busy").to_number<double>());
  EXPECT_LE(busy.at("busy").to_number<double>(), 1.05);
  EXPECT_GE(busy.at("cpu_seconds").to_number<double>(), busy.at("busy").to_number<double>() * 0.4);
}

TEST_F(LoadGenerator, SaltMakesEveryBodyAnotherContent) {
  Start();
  const auto outcome = Load({Url(), "--body-size", "100", "--salt", "--requests", "7", "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_EQ(Json(outcome)["sent_bytes"].to_number<std::int64_t>(), 7 * 124);
  EXPECT_EQ(Metric("lazaret_scan_duration_seconds_count"), 7);
}

TEST_F(LoadGenerator, OfAnOpenLoopMakesAllItsRequestsOverFewerConnections) {
  Start();
  const auto outcome = Load({Url(), "--body-size", "1KiB", "--rate", "2000", "--poisson", "--requests", "200",
                             "--connections", "4", "--threads", "2", "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_EQ(Answers(outcome), 200);
  EXPECT_EQ(Json(outcome)["offered_rate"].to_number<double>(), 2000);
}

TEST_F(LoadGenerator, SendsSlowlyAndWhole) {
  Start();
  // A first run lets the server know it, so that a damaged body would be another content, which is a scan more.
  ASSERT_EQ(Load({Url(), "--body-size", "40000", "--requests", "1"}).status, 0);
  const auto outcome =
      Load({Url(), "--body-size", "40000", "--requests", "2", "--connections", "2", "--send-rate", "100KB", "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_EQ(Json(outcome)["sent_bytes"].to_number<std::int64_t>(), 80'000);
  EXPECT_EQ(Json(outcome)["most_uploading"].to_number<int>(), 2);
  EXPECT_EQ(Metric("lazaret_scan_duration_seconds_count"), 1);
}

TEST_F(LoadGenerator, CountsAnAllowedStatusOnItsOwn) {
  Start({"--set", "content.max_size=1KiB"});
  const std::vector<std::string> command = {Url(), "--body-size", "3000000", "--requests", "2", "--json"};
  const auto refused = Load(command);
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(Json(refused)["defects"].as_object()["status 413"].to_number<int>(), 2) << refused.out;
  auto allowing = command;
  allowing.insert(allowing.end(), {"--allow-status", "413"});
  const auto allowed = Load(allowing);
  EXPECT_EQ(allowed.status, 0) << allowed.out;
  EXPECT_EQ(Json(allowed)["allowed"].as_object()["413"].to_number<int>(), 2);
  EXPECT_EQ(Answers(allowed), 0);
}

TEST_F(LoadGenerator, UsesAUnixSocket) {
  const std::string path = root_ / "http.sock";
  Start({"--listen", "unix:" + path});
  EXPECT_EQ(Load({"unix:" + path, "--body-size", "10", "--requests", "3"}).status, 0);
  EXPECT_EQ(Load({"unix:" + path + ":/healthz", "--get", "--requests", "3", "--expect", "nothing"}).status, 0);
}

TEST_F(LoadGenerator, CountsAServerThatIsNotThere) {
  Start();
  const std::string url = Url();
  server().Terminate();
  const auto outcome = Load({url, "--body-size", "10", "--requests", "3", "--json"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("cannot connect"));
}

TEST_F(LoadGenerator, RefusesACommandLineThatMakesNoSense) {
  EXPECT_EQ(Load({"--help"}).status, 0);
  EXPECT_EQ(Load({"http://127.0.0.1:1", "--body-size", "10"}).status, 2);
  EXPECT_EQ(Load({"ftp://127.0.0.1:1", "--requests", "1"}).status, 2);
  EXPECT_EQ(Load({"http://127.0.0.1:1", "--requests", "1", "--poisson"}).status, 2);
  EXPECT_EQ(Load({"http://127.0.0.1:1", "--requests", "1", "--salt", "--hash-first"}).status, 2);
  EXPECT_EQ(Load({"http://127.0.0.1:1", "--requests", "1", "--connections", "10000000"}).status, 2);
  root_.Write("ids", std::string(64, '0') + "\n");
  EXPECT_EQ(Load({"http://127.0.0.1:1", "--requests", "1", "--ids", root_ / "ids"}).status, 2);
}

}  // namespace
}  // namespace lazaret::tests
