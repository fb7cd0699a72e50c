// The operator's side: the control socket, and `lazaret jobs` as processes that ask over it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "http/sample_jobs.h"
#include "http/sample_overrides.h"
#include "integration/http_client.h"
#include "integration/processes.h"
#include "integration/run_lazaret.h"
#include "integration/test_directory.h"
#include "main/control_server.h"

namespace lazaret::tests {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// A control server of this process. Its jobs are only touched while no request is under way.
class Control : public testing::Test {
 protected:
  Control() { fs::create_directory(data_); }
  ~Control() override { Stop(); }

  void Start() {
    auto server = ControlServer::Listen(data_, jobs_, Overrides(), {.missing = "a test has no signatures"}, clock_,
                                        log_, telemetry_);
    if (!server) throw std::runtime_error(server.error().what);
    server_ = *std::move(server);
    server_->Start();
  }
  void Stop() {
    if (server_ == nullptr) return;
    boost::asio::io_context io;
    auto stopped =
        boost::asio::co_spawn(io, server_->Stop(std::chrono::steady_clock::now() + kPatience), boost::asio::use_future);
    io.run();
    stopped.get();
    server_.reset();
  }
  Outcome Jobs(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "jobs");
    arguments.insert(arguments.end(), {"--data", data_.native()});
    return RunLazaret(std::move(arguments));
  }
  http::OverrideEndpoint::Parts Overrides() { return {.store = overrides_, .board = board_, .node = {}}; }
  static std::string Id(std::size_t number) { return SampleDigest(number).Hex(); }
  // What is left of a server that was killed.
  void LeaveStaleSocket() const {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_.native().copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(socket.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }

  TestDirectory root_;
  const fs::path data_ = root_ / "data";
  const fs::path socket_ = data_ / "control.sock";
  http::SampleJobs jobs_;
  SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kWarning};
  Telemetry telemetry_;
  OverrideBoard board_{clock_, log_};
  http::SampleOverrides overrides_{board_};
  std::unique_ptr<ControlServer> server_;
};

using ControlSocket = Control;
using JobsCommand = Control;

TEST_F(ControlSocket, BelongsToItsUserAlone) {
  Start();
  struct stat found{};
  ASSERT_EQ(::lstat(socket_.c_str(), &found), 0);
  EXPECT_TRUE(S_ISSOCK(found.st_mode));
  EXPECT_EQ(found.st_mode & 07777, 0600u);
  Stop();
  EXPECT_EQ(fs::symlink_status(socket_).type(), fs::file_type::not_found);
}

TEST_F(ControlSocket, ReplacesThatOfADeadServerButNotOfALivingOne) {
  LeaveStaleSocket();
  Start();
  const auto second = ControlServer::Listen(data_, jobs_, Overrides(), {.missing = "a test has no signatures"}, clock_,
                                            log_, telemetry_);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().what, HasSubstr("somebody listens there already"));
  const auto answer = Ask(socket_, "GET", "/v1/jobs");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
}

TEST_F(ControlSocket, SaysThatTheDataDirectoryHasTooLongAPath) {
  const fs::path deep = root_ / std::string(120 - root_.path().native().size(), 'x');
  fs::create_directory(deep);
  const auto server = ControlServer::Listen(deep, jobs_, Overrides(), {.missing = "a test has no signatures"}, clock_,
                                            log_, telemetry_);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().what, HasSubstr("has 1 to 107 bytes"));
  EXPECT_THAT(server.error().what, HasSubstr("--data"));
  const Outcome client = RunLazaret({"jobs", "list", "--data", deep.native()});
  EXPECT_EQ(client.status, 1);
  EXPECT_THAT(client.err, HasSubstr("has 1 to 107 bytes"));
}

TEST_F(ControlSocket, ServesOnWhenAClientLeaves) {
  Start();
  for (int i = 0; i < 3; ++i) {
    HttpConnection half(socket_);
    ASSERT_TRUE(half.Send("GET /v1/jo"));
    HttpConnection whole(socket_);
    ASSERT_TRUE(whole.Send(MakeRequest("GET", "/v1/jobs")));
  }
  const auto answer = Ask(socket_, "GET", "/v1/jobs");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
}

TEST_F(ControlSocket, KnowsNothingButItsOwnPaths) {
  Start();
  const auto scan = Ask(socket_, "POST", "/v1/scan", "x");
  ASSERT_TRUE(scan);
  EXPECT_EQ(scan->status, 404);
  EXPECT_THAT(scan->body, HasSubstr("the control socket"));
  const auto bad = Ask(socket_, "POST", "/v1/jobs/" + Id(1));
  ASSERT_TRUE(bad);
  EXPECT_EQ(bad->status, 405);
  EXPECT_EQ(bad->Find("Allow"), "GET, HEAD, DELETE");
}

TEST_F(JobsCommand, ListsForPeople) {
  jobs_.Add(1, JobState::kDead);
  jobs_.Add(2, JobState::kDone);
  jobs_.Add(3, JobState::kQueued);
  Start();
  const Outcome all = Jobs({"list"});
  EXPECT_EQ(all.status, 0);
  EXPECT_EQ(all.err, "");
  EXPECT_THAT(all.out, StartsWith("ID "));
  const auto at = [&](std::size_t number) { return all.out.find("\n" + Id(number)); };
  EXPECT_TRUE(at(3) < at(2) && at(2) < at(1) && at(1) != std::string::npos) << all.out;
  EXPECT_THAT(all.out, HasSubstr("infected: Win.Test.Sample-1\n"));
  EXPECT_THAT(all.out, HasSubstr("3 of 3 jobs shown (1 queued, 0 scanning, 1 done, 1 dead)\n"));
  const Outcome dead = Jobs({"list", "--state", "dead"});
  EXPECT_THAT(dead.out, HasSubstr(Id(1)));
  EXPECT_THAT(dead.out, HasSubstr("1 of 3 jobs shown"));
  EXPECT_THAT(Jobs({"list", "--limit", "2"}).out, HasSubstr("2 of 3 jobs shown"));
}

TEST_F(JobsCommand, PrintsTheServersJson) {
  jobs_.Add(1, JobState::kDead);
  Start();
  const Outcome list = Jobs({"list", "--json"});
  EXPECT_EQ(list.status, 0);
  EXPECT_EQ(list.out, Ask(socket_, "GET", "/v1/jobs")->body);
  EXPECT_EQ(boost::json::parse(list.out).at("jobs").as_array().front().at("id"), Id(1).c_str());
  EXPECT_EQ(Jobs({"show", Id(1), "--json"}).out, Ask(socket_, "GET", "/v1/jobs/" + Id(1))->body);
  EXPECT_EQ(boost::json::parse(Jobs({"retry", Id(1), "--json"}).out).at("state"), "queued");
  EXPECT_EQ(boost::json::parse(Jobs({"drop", Id(1), "--json"}).out).at("dropped"), true);
  EXPECT_THAT(jobs_.jobs, IsEmpty());
}

TEST_F(JobsCommand, ShowsOneJob) {
  jobs_.Add(1, JobState::kDead).note = "a \x1b[31mred\x1b[0m note";
  Start();
  const Outcome shown = Jobs({"show", Id(1)});
  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(shown.out, HasSubstr("id          " + Id(1) + "\nstate       dead\nsize        68B (68 bytes)\n"));
  EXPECT_THAT(shown.out, HasSubstr("reason      engine-crashed\n"));
  EXPECT_THAT(shown.out, HasSubstr("note        a ?[31mred?[0m note\n"));
  EXPECT_THAT(shown.out, HasSubstr("content     kept\n"));
}

TEST_F(JobsCommand, RetriesAndDropsSeveral) {
  for (std::size_t i = 1; i <= 3; ++i) jobs_.Add(i, JobState::kDead);
  Start();
  const Outcome retried = Jobs({"retry", Id(1), Id(2).substr(0, 8)});
  EXPECT_EQ(retried.status, 0);
  EXPECT_EQ(retried.out, Id(1) + "  queued again\n" + Id(2) + "  queued again\n");
  const Outcome dropped = Jobs({"drop", Id(3).substr(0, 20), Id(1)});
  EXPECT_EQ(dropped.out, Id(3) + "  dropped\n" + Id(1) + "  dropped\n");
  Stop();
  ASSERT_EQ(jobs_.jobs.size(), 1u);
  EXPECT_EQ(jobs_.jobs.begin()->first, SampleDigest(2));
  EXPECT_EQ(jobs_.jobs.begin()->second.state, JobState::kQueued);
}

TEST_F(JobsCommand, SaysWhatCouldNotBeDone) {
  jobs_.Add(1, JobState::kDead);
  jobs_.Add(2, JobState::kDone);
  Start();
  const Outcome unknown = Jobs({"show", Id(7)});
  EXPECT_EQ(unknown.status, 3);
  EXPECT_EQ(unknown.out, "");
  EXPECT_THAT(unknown.err, StartsWith("lazaret: " + Id(7) + ": there is no job of this id"));
  EXPECT_EQ(Jobs({"drop", "0123456789"}).status, 3);
  EXPECT_EQ(Jobs({"retry", Id(7), Id(1)}).status, 3) << "the others are done";
  const Outcome both = Jobs({"retry", Id(7), Id(2)});
  EXPECT_EQ(both.status, 1);
  EXPECT_THAT(both.err, HasSubstr(Id(2) + ": the job is no dead letter\n"));
  EXPECT_EQ(Jobs({"retry", Id(2), Id(7)}).status, 1) << "in any order";
  EXPECT_EQ(Jobs({"list", "--state", "gone"}).status, 2);
  EXPECT_EQ(Jobs({"show"}).status, 2);
  Stop();
  EXPECT_EQ(jobs_.jobs.at(SampleDigest(1)).state, JobState::kQueued);
}

// Two ids that begin alike, whatever else they are.
Digest Like(const Digest& id, std::byte last) {
  std::array<std::byte, Digest::kSize> bytes;
  std::ranges::copy(id.AsSpan(), bytes.begin());
  bytes.back() = last;
  return Digest(bytes);
}

TEST_F(JobsCommand, TakesABeginningOnlyWhenItIsTheOnlyOne) {
  const Digest first = Like(SampleDigest(1), std::byte{1});
  const Digest second = Like(SampleDigest(1), std::byte{2});
  Job job = jobs_.Add(1, JobState::kDead);
  jobs_.jobs.clear();
  for (const Digest& id : {first, second}) {
    job.id = id;
    jobs_.jobs.insert_or_assign(id, job);
  }
  Start();
  const Outcome several = Jobs({"drop", first.Hex().substr(0, 62)});
  EXPECT_EQ(several.status, 1);
  EXPECT_THAT(several.err, HasSubstr("several jobs begin like this"));
  EXPECT_EQ(Jobs({"drop", first.Hex().substr(0, 64)}).status, 0);
  EXPECT_EQ(Jobs({"drop", first.Hex().substr(0, 62)}).out, second.Hex() + "  dropped\n");
}

TEST_F(JobsCommand, WantsTheWholeIdWhereTheListIsNotComplete) {
  for (std::size_t i = 0; i < http::kMostListedJobs - 1; ++i) jobs_.Add(i, JobState::kQueued);
  Start();
  EXPECT_EQ(Jobs({"show", Id(5).substr(0, 16)}).status, 0) << "just complete";
  Stop();
  jobs_.Add(http::kMostListedJobs, JobState::kQueued);
  Start();
  const Outcome refused = Jobs({"show", Id(5).substr(0, 16)});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("the whole id is needed"));
  EXPECT_EQ(Jobs({"show", Id(5)}).status, 0);
}

TEST_F(JobsCommand, SaysThatNoServerRuns) {
  for (const bool stale : {false, true}) {
    if (stale) LeaveStaleSocket();
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"list"}, {"show", Id(1), Id(2)}, {"drop", "01234567"}}) {
      const Outcome outcome = Jobs(arguments);
      EXPECT_EQ(outcome.status, 1);
      EXPECT_EQ(outcome.out, "");
      EXPECT_THAT(outcome.err, HasSubstr("no server is running for the data directory " + data_.native()));
      EXPECT_THAT(outcome.err, HasSubstr(socket_.native()));
      EXPECT_THAT(outcome.err, HasSubstr("lazaret serve --data"));
      EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << "once, not for each id: " << outcome.err;
    }
  }
}

TEST_F(JobsCommand, SaysThatTheSocketIsNotForThisUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  Start();
  // Where every user can reach it: the checkout may lie below /root.
  const fs::path program = fs::path(root_.MakeDirectory("bin")) / "lazaret";
  fs::copy_file(LAZARET_PROGRAM, program);
  const Outcome outcome = RunLazaret({"jobs", "list", "--data", data_.native()}, program.native(), 65534);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("Permission denied"));
  EXPECT_THAT(outcome.err, HasSubstr("as the user that the server runs as"));
}

TEST_F(JobsCommand, ReportsWhatTheQueueSays) {
  jobs_.failure = Error{Errc::kUnavailable, "the disk is gone"};
  Start();
  const Outcome outcome = Jobs({"list"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.err, "lazaret: the disk is gone\n");
}

TEST_F(JobsCommand, FailsWhenTheServerDiesOverTheAnswer) {
  auto listener = UnixListener::Open(socket_, 0600);
  ASSERT_TRUE(listener);
  for (const std::string& answer :
       {std::string(), std::string("HTTP/1.1 200 OK\r\nContent-Len"), std::string("gibberish"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"jobs\":[]}"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]")}) {
    std::jthread server([&] {
      pollfd polled{listener->Get(), POLLIN, 0};
      ::poll(&polled, 1, 60'000);
      const UniqueFd client(::accept4(listener->Get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::array<char, 4096> request;
      (void)::recv(client.Get(), request.data(), request.size(), 0);
      (void)::send(client.Get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    });
    const Outcome outcome = Jobs({"list"});
    EXPECT_EQ(outcome.status, 1) << answer;
    EXPECT_THAT(outcome.err, StartsWith("lazaret: the server's answer")) << answer;
    EXPECT_EQ(outcome.out, "");
  }
}

}  // namespace
}  // namespace lazaret::tests
