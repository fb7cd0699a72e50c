// How a zygote and its scanners live and die.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <fmt/format.h>

#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "integration/archives.h"
#include "integration/scanner_fixture.h"

namespace lazaret::tests {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using wire::OutcomeReason;

std::string Hook(std::string_view what) { return "LAZARET-TEST-HOOK " + std::string(what) + "\n"; }

bool EndedBySignal(const Result<wire::Exited>& exited, int signal) {
  return exited && WIFSIGNALED(exited->wait_status) && WTERMSIG(exited->wait_status) == signal;
}

bool EndedWithStatus(const Result<wire::Exited>& exited, int status) {
  return exited && WIFEXITED(exited->wait_status) && WEXITSTATUS(exited->wait_status) == status;
}

struct CommandResult {
  int status = -1;
  std::string output;
};

CommandResult RunCommand(const std::string& command) {
  CommandResult result;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  for (std::size_t length; (length = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    result.output.append(buffer, length);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  return result;
}

class ScannerLife : public ScannerTest {};

TEST_F(ScannerLife, SaysWhatItLoaded) {
  Zygote();
  EXPECT_THAT(ready_.engine_version, HasSubstr("1."));
  EXPECT_GT(ready_.functionality_level, 0u);
  EXPECT_EQ(ready_.signatures, 3u);
  EXPECT_THAT(ready_.databases, IsEmpty());
  EXPECT_THAT(ready_.sandbox, Contains("seccomp"));
}

TEST_F(ScannerLife, FailsWithoutSignatures) {
  request_.signature_directory = scratch_.MakeDirectory("empty");
  ScannerProcess zygote(LAZARET_SCANNER);
  const auto ready = zygote.Load(request_);
  ASSERT_FALSE(ready);
  EXPECT_THAT(ready.error().what, HasSubstr(request_.signature_directory));
  EXPECT_EQ(WEXITSTATUS(zygote.Wait().value_or(0)), 1);
}

TEST_F(ScannerLife, FailsWithABrokenDatabase) {
  scratch_.Write("signatures/broken.ndb", "this is no signature\n");
  const auto ready = ScannerProcess(LAZARET_SCANNER).Load(request_);
  ASSERT_FALSE(ready);
  EXPECT_THAT(ready.error().what, HasSubstr("Malformed"));
}

TEST_F(ScannerLife, FailsWithoutADirectory) {
  request_.signature_directory = (scratch_ / "missing").native();
  EXPECT_FALSE(ScannerProcess(LAZARET_SCANNER).Load(request_));
  request_.signature_directory = (scratch_ / "signatures").native();
  request_.temp_directory = (scratch_ / "missing").native();
  EXPECT_FALSE(ScannerProcess(LAZARET_SCANNER).Load(request_));
}

TEST_F(ScannerLife, FailsWhenALimitIsMissing) {
  for (auto member : {&wire::LoadRequest::max_scan_bytes, &wire::LoadRequest::max_file_bytes,
                      &wire::LoadRequest::temp_bytes, &wire::LoadRequest::memory_bytes}) {
    wire::LoadRequest request = request_;
    request.*member = 0;
    EXPECT_FALSE(ScannerProcess(LAZARET_SCANNER).Load(request));
  }
}

TEST_F(ScannerLife, FailsForAnUnknownUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  request_.user = "no-such-user";
  const auto ready = ScannerProcess(LAZARET_SCANNER).Load(request_);
  ASSERT_FALSE(ready);
  EXPECT_THAT(ready.error().what, HasSubstr("no-such-user"));
}

TEST_F(ScannerLife, ScansAsAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  request_.user = "nobody";
  for (const bool plain : {false, true}) {
    if (plain) UsePlainTempDirectories();
    const Scanner scanner = OneScanner();
    EXPECT_THAT(ready_.sandbox, Contains("user"));
    EXPECT_THAT(scanner.Scan(MakeZip({{.name = "a", .data = std::string(kMarker)}})),
                IsInfectedWith("Test.Marker.UNOFFICIAL"));
    const std::string status =
        RunCommand("grep -E '^(Uid|CapPrm|CapEff):' /proc/" + std::to_string(scanner.pid) + "/status").output;
    EXPECT_THAT(status, HasSubstr("Uid:\t65534\t65534\t65534\t65534"));
    EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000000"));
  }
}

TEST_F(ScannerLife, ReplacesAScannerThatCrashed) {
  const Scanner scanner = OneScanner(LAZARET_SCANNER_HOOKS);
  EXPECT_EQ(scanner.Scan(Hook("crash")).error().code, Errc::kDisconnected);
  const auto exited = zygote_->WaitForExit();
  EXPECT_TRUE(EndedBySignal(exited, SIGSEGV));
  EXPECT_EQ(exited->slot, 0u);
  EXPECT_EQ(exited->pid, scanner.pid);
  const auto next = zygote_->Fork(0);
  ASSERT_TRUE(next);
  EXPECT_THAT(next->Scan(kMarker), IsInfectedWith("Test.Marker.UNOFFICIAL"));
}

TEST_F(ScannerLife, LetsAHangingScannerBeKilled) {
  ScannerProcess& zygote = Zygote(LAZARET_SCANNER_HOOKS);
  const auto hanging = zygote.Fork(0);
  const auto other = zygote.Fork(1);
  ASSERT_TRUE(hanging && other);
  const std::string hook = Hook("hang");
  const UniqueFd content = MakeContent(hook);
  ASSERT_TRUE(hanging->Send({.number = 1, .size = hook.size(), .time_limit_ms = 1}, content.Get()));
  EXPECT_THAT(other->Scan(kMarker), IsInfectedWith("Test.Marker.UNOFFICIAL"));
  ASSERT_TRUE(hanging->Kill());
  EXPECT_TRUE(EndedBySignal(zygote.WaitForExit(), SIGKILL));
  EXPECT_TRUE(zygote.Fork(0));
  EXPECT_THAT(other->Scan(PlainText(100)), IsClean());
}

TEST_F(ScannerLife, TellsTheExitStatus) {
  const Scanner scanner = OneScanner(LAZARET_SCANNER_HOOKS);
  EXPECT_FALSE(scanner.Scan(Hook("exit")));
  EXPECT_TRUE(EndedWithStatus(zygote_->WaitForExit(), 7));
}

TEST_F(ScannerLife, CanSendGarbageThatIsRefused) {
  const Scanner scanner = OneScanner(LAZARET_SCANNER_HOOKS);
  EXPECT_EQ(scanner.Scan(Hook("garbage")).error().code, Errc::kMalformed);
}

TEST_F(ScannerLife, ScansSlowContentsToTheEnd) {
  EXPECT_THAT(OneScanner(LAZARET_SCANNER_HOOKS).Scan(Hook("slow 20") + std::string(kMarker)),
              IsInfectedWith("Test.Marker.UNOFFICIAL"));
}

TEST_F(ScannerLife, DiesOfASystemCallThatIsNotOnTheList) {
  for (const char* what : {"socket-inet", "execve", "fork", "mmap-executable", "kill-parent", "ptrace"}) {
    const Scanner scanner = OneScanner(LAZARET_SCANNER_HOOKS);
    EXPECT_FALSE(scanner.Scan(Hook(std::string("sandbox ") + what))) << what;
    EXPECT_TRUE(EndedBySignal(zygote_->WaitForExit(), SIGSYS)) << what;
  }
}

TEST_F(ScannerLife, FailsWhenScannersCannotEnterTheirSandbox) {
  if (::geteuid() == 0) request_.user = "nobody";
  scratch_.Write("few-files", "#!/bin/sh\nulimit -n 512\nexec " LAZARET_SCANNER " \"$@\"\n");
  const std::string script = (scratch_ / "few-files").native();
  ASSERT_EQ(::chmod(script.c_str(), 0755), 0);
  const auto ready = ScannerProcess(script).Load(request_);
  ASSERT_FALSE(ready);
  EXPECT_THAT(ready.error().what, HasSubstr("sandbox: cannot set a resource limit"));
}

TEST_F(ScannerLife, HidesItsMemoryFromItsUser) {
  std::string executable = LAZARET_SCANNER;
  if (::geteuid() == 0) {
    executable = (scratch_ / "as-nobody").native();
    // A copy, since the checkout may lie where nobody can go.
    const std::string copy = (scratch_ / "scanner").native();
    std::filesystem::copy_file(LAZARET_SCANNER, copy);
    scratch_.Write("as-nobody",
                   "#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups " + copy + " \"$@\"\n");
    ASSERT_EQ(::chmod(executable.c_str(), 0755), 0);
    ::chmod(scratch_.path().c_str(), 0755);
  }
  const Scanner scanner = OneScanner(executable.c_str());
  for (const pid_t pid : {zygote_->Pid(), scanner.pid}) {
    const std::string process = "/proc/" + std::to_string(pid);
    struct stat memory{};
    ASSERT_EQ(::stat((process + "/mem").c_str(), &memory), 0);
    EXPECT_EQ(memory.st_uid, 0u) << "of root, and so out of reach";
    EXPECT_THAT(RunCommand("grep ^Uid: " + process + "/status").output, Not(HasSubstr("Uid:\t0")));
  }
  EXPECT_THAT(scanner.Scan(kMarker), IsInfectedWith("Test.Marker.UNOFFICIAL"));
}

TEST_F(ScannerLife, KeepsTheZygotesMemoryFromScanners) {
  const auto text = RunCommand(LAZARET_SCANNER " --check-sandbox");
  EXPECT_THAT(text.output, testing::ContainsRegex("parent-memory +denied"));
}

TEST_F(ScannerLife, OffersScannersWhenMemoryRunsOut) {
  const auto score = [](pid_t pid) { return RunCommand("cat /proc/" + std::to_string(pid) + "/oom_score_adj").output; };
  for (const char* user : {"", "nobody"}) {
    if (::geteuid() == 0) request_.user = user;
    const Scanner scanner = OneScanner();
    EXPECT_EQ(score(scanner.pid), "500\n") << user;
    EXPECT_EQ(score(zygote_->Pid()), score(::getpid())) << user;
  }
}

TEST_F(ScannerLife, HasNoHooksInProduction) {
  const auto contains = [](const char* path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    return bytes.find(
               "LAZARET-TEST-"
               "HOOK") != bytes.npos;
  };
  EXPECT_TRUE(contains(LAZARET_SCANNER_HOOKS));
  EXPECT_FALSE(contains(LAZARET_SCANNER));
  EXPECT_THAT(OneScanner().Scan(Hook("crash")), IsClean());
}

TEST_F(ScannerLife, EndsAScannerWhoseSocketIsClosed) {
  Scanner scanner = OneScanner();
  scanner.socket.Reset();
  EXPECT_TRUE(EndedWithStatus(zygote_->WaitForExit(), 0));
}

TEST_F(ScannerLife, RefusesSlotsThatAreTakenOrMissing) {
  ScannerProcess& zygote = Zygote();
  const auto first = zygote.Fork(3);
  ASSERT_TRUE(first);
  EXPECT_EQ(zygote.Fork(3).error().code, Errc::kUnavailable);
  EXPECT_EQ(zygote.Fork(4).error().code, Errc::kUnavailable);
  EXPECT_TRUE(zygote.Fork(2));
}

TEST_F(ScannerLife, EndsAScannerThatIsSentGarbage) {
  ScannerProcess& zygote = Zygote();
  const UniqueFd content = MakeContent("text");
  const auto request = wire::Encode(wire::ScanRequest{.number = 1, .size = 4, .time_limit_ms = 1000});
  const int one[] = {content.Get()};
  const int two[] = {content.Get(), content.Get()};
  const std::pair<Bytes, std::span<const int>> messages[] = {
      {AsBytes("garbage"), one}, {request, {}}, {request, two}, {Bytes(request).first(request.size() - 1), one}};
  for (const auto& [message, fds] : messages) {
    const auto scanner = zygote.Fork(0);
    ASSERT_TRUE(scanner);
    ASSERT_TRUE(SendPacket(scanner->socket.Get(), message, fds));
    EXPECT_EQ(scanner->Receive().error().code, Errc::kDisconnected);
    EXPECT_TRUE(EndedWithStatus(zygote.WaitForExit(), 11));
  }
}

TEST_F(ScannerLife, EndsWhenItIsSentGarbage) {
  const Scanner scanner = OneScanner();
  ASSERT_TRUE(zygote_->SendRaw(AsBytes("garbage")));
  EXPECT_EQ(WEXITSTATUS(zygote_->Wait().value_or(0)), 1);
  EXPECT_TRUE(WaitForEnd(scanner.pidfd));
}

TEST_F(ScannerLife, EndsWhenTheFirstMessageIsNoLoadRequest) {
  ScannerProcess zygote(LAZARET_SCANNER);
  ASSERT_TRUE(zygote.SendRaw(wire::Encode(wire::ForkRequest{0})));
  EXPECT_EQ(WEXITSTATUS(zygote.Wait().value_or(0)), 1);
}

TEST_F(ScannerLife, CleansUpWhenTheControlSocketIsClosed) {
  for (const bool plain : {false, true}) {
    if (plain) UsePlainTempDirectories();
    const Scanner scanner = OneScanner(LAZARET_SCANNER_HOOKS);
    const std::string hook = Hook("hang");
    const UniqueFd content = MakeContent(hook);
    ASSERT_TRUE(scanner.Send({.number = 1, .size = hook.size(), .time_limit_ms = 1}, content.Get()));
    if (plain) scratch_.Write("tmp/0/left behind", "text");
    EXPECT_EQ(zygote_->Close(), 0);
    EXPECT_TRUE(WaitForEnd(scanner.pidfd));
    EXPECT_FALSE(std::filesystem::exists(request_.temp_directory + "/0"));
  }
}

TEST_F(ScannerLife, EmptiesTheTempDirectoryOfAScannerThatDied) {
  UsePlainTempDirectories();
  const Scanner scanner = OneScanner();
  const std::string slot = request_.temp_directory + "/0";
  std::filesystem::create_directories(slot + "/a/b/c");
  std::ofstream(slot + "/a/b/c/file") << "text";
  std::filesystem::create_symlink(request_.signature_directory, slot + "/a/link");
  std::filesystem::permissions(slot + "/a/b", std::filesystem::perms::none);
  ASSERT_TRUE(scanner.Kill());
  ASSERT_TRUE(zygote_->WaitForExit());
  EXPECT_TRUE(std::filesystem::is_empty(slot));
  EXPECT_TRUE(std::filesystem::exists(request_.signature_directory + "/test.ndb"));
}

TEST_F(ScannerLife, ReplacesAScannerThatLeavesFilesBehind) {
  UsePlainTempDirectories();
  const Scanner scanner = OneScanner();
  std::ofstream(request_.temp_directory + "/0/file") << "text";
  EXPECT_THAT(scanner.Scan(PlainText(100)), IsClean());
  EXPECT_TRUE(EndedWithStatus(zygote_->WaitForExit(), 12));
  EXPECT_TRUE(std::filesystem::is_empty(request_.temp_directory + "/0"));
}

TEST_F(ScannerLife, TakesItsScannersWithIt) {
  const Scanner scanner = OneScanner(LAZARET_SCANNER_HOOKS);
  const std::string hook = Hook("hang");
  const UniqueFd content = MakeContent(hook);
  ASSERT_TRUE(scanner.Send({.number = 1, .size = hook.size(), .time_limit_ms = 1}, content.Get()));
  ASSERT_EQ(::kill(zygote_->Pid(), SIGKILL), 0);
  EXPECT_TRUE(WaitForEnd(zygote_->Pidfd()));
  EXPECT_TRUE(WaitForEnd(scanner.pidfd));
}

TEST_F(ScannerLife, LeavesNoOrphansWhenTheServerIsKilled) {
  auto sockets = MakeSeqpacketPair();
  ASSERT_TRUE(sockets);
  const pid_t server = ::fork();
  if (server == 0) {
    sockets->first.Reset();
    const Scanner scanner = OneScanner(LAZARET_SCANNER_HOOKS);
    const std::string hook = Hook("hang");
    const UniqueFd content = MakeContent(hook);
    const int fds[] = {zygote_->Pidfd().Get(), scanner.pidfd.Get()};
    if (!scanner.Send({.number = 1, .size = hook.size(), .time_limit_ms = 1}, content.Get()) ||
        !SendPacket(sockets->second.Get(), AsBytes("started"), fds)) {
      ::_exit(1);
    }
    for (;;) ::pause();
  }
  sockets->second.Reset();
  const auto started = ReceivePacket(sockets->first.Get());
  ASSERT_TRUE(started);
  ASSERT_EQ(started->fds.size(), 2u);
  ASSERT_EQ(::kill(server, SIGKILL), 0);
  ASSERT_EQ(::waitpid(server, nullptr, 0), server);
  EXPECT_TRUE(WaitForEnd(started->fds[0]));
  EXPECT_TRUE(WaitForEnd(started->fds[1]));
}

TEST_F(ScannerLife, IgnoresTerminationSignals) {
  const Scanner scanner = OneScanner();
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    ASSERT_EQ(::kill(zygote_->Pid(), signal), 0);
    ASSERT_EQ(::kill(scanner.pid, signal), 0);
  }
  EXPECT_THAT(scanner.Scan(kMarker), IsInfectedWith("Test.Marker.UNOFFICIAL"));
  EXPECT_TRUE(zygote_->Fork(1));
}

TEST_F(ScannerLife, InheritsNoDescriptorsButTheSealedFilesOfMatchStates) {
  if (::geteuid() != 0) GTEST_SKIP() << "a scanner is not dumpable: only root sees its descriptors";
  const Scanner scanner = OneScanner();
  // Only then has it set itself up.
  ASSERT_THAT(scanner.Scan(PlainText(100)), IsClean());
  std::map<std::string, std::string> files;
  for (const auto& fd : std::filesystem::directory_iterator("/proc/" + std::to_string(scanner.pid) + "/fd")) {
    files[fd.path().filename()] = std::filesystem::read_symlink(fd);
  }
  using testing::_, testing::Pair, testing::StartsWith;
  EXPECT_THAT(files, testing::ElementsAre(Pair("0", "/dev/null"), Pair("1", "/dev/null"), Pair("2", "/dev/null"),
                                          Pair("3", StartsWith("socket:")), Pair("4", StartsWith("/memfd:matches")),
                                          Pair("5", StartsWith("/memfd:offsets"))));
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  for (const char* number : {"4", "5"}) {
    const UniqueFd file(::open(fmt::format("/proc/{}/fd/{}", scanner.pid, number).c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(::fcntl(file.Get(), F_GET_SEALS), kSeals);
  }
}

TEST_F(ScannerLife, LoadsEveryCharacterSetBeforeForking) {
  // One that only a document would name.
  constexpr const char* kModule = "IBM1047.so";
  if (RunCommand(std::string("ls /usr/lib/*/gconv/") + kModule).status != 0) GTEST_SKIP() << "not installed";
  ScannerProcess& zygote = Zygote();
  EXPECT_EQ(RunCommand("grep -q " + std::string(kModule) + " /proc/" + std::to_string(zygote.Pid()) + "/maps").status,
            0);
}

TEST_F(ScannerLife, OutlivesAServerThatDoesNotRead) {
  ScannerProcess& zygote = Zygote();
  // Refusals until the zygote stops listening and its socket is full; it must neither block for ever nor die.
  const int sent = zygote.Flood(wire::Encode(wire::ForkRequest{99}), 5'000);
  ASSERT_GT(sent, 0);
  for (int i = 0; i < sent; ++i) {
    const auto answer = zygote.Receive();
    ASSERT_TRUE(answer) << answer.error().what;
    ASSERT_TRUE(std::holds_alternative<wire::ForkFailed>(*answer));
  }
  EXPECT_TRUE(zygote.Fork(0));
}

TEST(ScannerCommand, ChecksTheSandbox) {
  const auto text = RunCommand(LAZARET_SCANNER " --check-sandbox");
  EXPECT_EQ(text.status, 0);
  EXPECT_THAT(text.output, HasSubstr("denied (SIGSYS)"));
  const auto json = RunCommand(LAZARET_SCANNER " --check-sandbox --json");
  EXPECT_EQ(json.status, 0);
  EXPECT_THAT(json.output, HasSubstr(R"json("execve":{"result":"denied (SIGSYS)","ok":true})json"));
}

TEST(ScannerCommand, ExplainsItself) {
  const auto bare = RunCommand(LAZARET_SCANNER);
  EXPECT_EQ(bare.status, 2);
  EXPECT_THAT(bare.output, HasSubstr("--control-fd"));
  EXPECT_EQ(RunCommand(LAZARET_SCANNER " --control-fd 1").status, 2);
  EXPECT_EQ(RunCommand(LAZARET_SCANNER " --nonsense").status, 2);
  EXPECT_EQ(RunCommand(LAZARET_SCANNER " --help").status, 0);
  EXPECT_EQ(RunCommand(LAZARET_SCANNER " --version").status, 0);
}

}  // namespace
}  // namespace lazaret::tests
