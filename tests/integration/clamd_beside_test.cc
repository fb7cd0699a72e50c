// What Lazaret answers to clamd's clients, beside what the real clamd of this machine answers. docs/clamd.md lists
// where they differ and why.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include <fmt/format.h>

#include "integration/clamd_door_fixture.h"
#include "integration/clamd_process.h"

namespace lazaret::tests {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using testing::StartsWith;

const std::vector<std::string> kRealSettings = {"StreamMaxLength 1M", "CommandReadTimeout 5", "ReadTimeout 5"};
const std::vector<std::string> kSameLimits = {
    "--set", "clamd.stream_max_size=1MiB", "--set", "clamd.command_timeout=5s", "--set", "clamd.read_timeout=5s"};

class BesideClamdTest : public ClamdDoorTest {
 protected:
  void StartBoth(const std::vector<std::string>& settings = kRealSettings,
                 const std::vector<std::string>& arguments = kSameLimits) {
    real_ = std::make_unique<ClamdProcess>(root_, "real",
                                           ClamdOptions{.settings = settings, .signatures = root_ / "signatures"});
    StartDoor(arguments);
  }
  std::filesystem::path real_socket() const { return real_->address().path; }
  void ExpectSame(std::string_view request) {
    EXPECT_EQ(Comparable(Ask(socket(), request)), Comparable(Ask(real_socket(), request)))
        << testing::PrintToString(std::string(request.substr(0, 100)));
  }

  std::unique_ptr<ClamdProcess> real_;
};

TEST_F(BesideClamdTest, AnswersRawCommandsAlike) {
  StartBoth();
  const std::string f = files();
  const std::vector<std::string> commands = {"PING",
                                             "VERSION",
                                             "VERSIONCOMMANDS",
                                             "RELOAD",
                                             "DETSTATS",
                                             "DETSTATSCLEAR",
                                             "END",
                                             "FOO",
                                             "",
                                             "ping",
                                             "PING x",
                                             "PINGx",
                                             "SCAN",
                                             "CONTSCAN",
                                             "MULTISCAN",
                                             "ALLMATCHSCAN",
                                             "STREAM",
                                             "\r",
                                             "PING\r",
                                             "SCAN ",
                                             "SCAN  ",
                                             "SCAN nowhere",
                                             "SCAN " + f + "/eicar",
                                             "SCANx" + f + "/eicar",
                                             "SCAN " + f + "/clean",
                                             "SCAN " + f + "/empty",
                                             "SCAN " + f + "/nowhere",
                                             "SCAN " + f + "/clean/x",
                                             "SCAN " + f + "//clean",
                                             "SCAN " + f + "/./clean",
                                             "SCAN " + f + "/below/../clean",
                                             "SCAN " + f + "/clean/",
                                             "SCAN " + f,
                                             "SCAN " + f + "/",
                                             "SCAN " + f + "///",
                                             "CONTSCAN " + f,
                                             "CONTSCAN " + f + "/eicar",
                                             "CONTSCAN " + f + "/harmless",
                                             "CONTSCAN " + f + "/hollow",
                                             "CONTSCAN " + f + "/nowhere",
                                             "MULTISCAN " + f + "/eicar",
                                             "MULTISCAN " + f + "/clean",
                                             "MULTISCAN " + f + "/harmless",
                                             "MULTISCAN " + f + "/hollow",
                                             "MULTISCAN " + f + "/nowhere",
                                             "ALLMATCHSCAN " + f,
                                             "ALLMATCHSCAN " + f + "/eicar",
                                             "ALLMATCHSCAN " + f + "/harmless",
                                             "SCAN " + f + "/" + std::string(300, 'a')};
  for (const std::string& command : commands) {
    ExpectSame("z" + command + "\0"s);
    ExpectSame("n" + command + "\n");
    ExpectSame(command + "\n");
    if (!command.empty()) ExpectSame(command);
  }
}

TEST_F(BesideClamdTest, AnswersStreamsAlike) {
  StartBoth();
  const std::string eicar = EicarWithPrefix(7);
  for (const std::string& stream :
       {Stream("hello"), Stream(eicar), Stream(eicar, 1), Stream(""), Stream("x") + "garbage",
        Stream(eicar) + "zPING\0"s, Stream(std::string(1024 * 1024, 'a')), Stream(std::string(1024 * 1024 + 1, 'a')),
        "\xff\xff\xff\xff"s, "\0\x10\0\1"s}) {
    ExpectSame("zINSTREAM\0"s + stream);
    ExpectSame("nINSTREAM\n" + stream);
  }
  for (const std::string& cut :
       {"zPIN"s, "zINSTREAM\0"s, "zINSTREAM\0\0\0"s, "zINSTREAM\0"s + Stream(eicar).substr(0, 30),
        "zINSTREAM\0"s + Stream(eicar), "zPING\0"s, "zIDSESSION\0zPING\0"s, "zFILDES\0"s, ""s}) {
    std::vector<std::string> answers;
    for (const auto& path : {socket(), real_socket()}) {
      ClamdClient client(path);
      client.Send(cut);
      client.CloseSending();
      answers.push_back(client.ReceiveAll());
    }
    EXPECT_EQ(answers[0], answers[1]) << testing::PrintToString(cut);
  }
}

TEST_F(BesideClamdTest, TimesOutAlike) {
  StartBoth({"StreamMaxLength 1M", "CommandReadTimeout 1", "ReadTimeout 2"},
            {"--set", "clamd.command_timeout=1s", "--set", "clamd.read_timeout=2s"});
  for (const std::string& start : {""s, "zPIN"s, "zFILDES\0"s, "zINSTREAM\0\0\0\0\5ab"s, "zIDSESSION\0zPING\0"s}) {
    ExpectSame(start);
  }
}

TEST_F(BesideClamdTest, BoundsCommandsAlike) {
  StartBoth();
  for (const std::size_t size : {4103, 4104, 4105, 9000}) {
    ExpectSame("z" + std::string(size - 2, 'a') + "\0"s);
    ExpectSame("n" + std::string(size - 2, 'a') + "\n");
    ExpectSame(std::string(size, 'a'));
  }
}

TEST_F(BesideClamdTest, AnswersSessionsAlike) {
  StartBoth();
  const std::string f = files();
  const std::string eicar = "zINSTREAM\0"s + Stream(EicarWithPrefix(8));
  const std::string clean = "nINSTREAM\n" + Stream("clean");
  for (const std::string& rest :
       {"zEND\0"s, "zPING\0nPING\nzEND\0"s, "zVERSION\0zVERSIONCOMMANDS\0zEND\0zPING\0"s, "zPING\0zFOO\0zPING\0"s,
        "zPING\0zIDSESSION\0"s, "zCONTSCAN /\0"s, "zMULTISCAN /\0"s, "zALLMATCHSCAN /\0"s, "zRELOAD\0"s, "zSHUTDOWN\0"s,
        "zDETSTATS\0"s, eicar + "zEND\0"s, clean + eicar + "zPING\0zEND\0"s,
        "zSCAN " + f + "\0zSCAN "s + f + "/clean\0zEND\0"s, "zFILDES\0\0zEND\0"s, "zPING\0zINSTREAM\0\0\x10\0\1"s}) {
    std::vector<std::vector<std::string>> answers;
    for (const auto& path : {socket(), real_socket()}) {
      std::string replies = Ask(path, "zIDSESSION\0"s + rest);
      std::ranges::replace(replies, '\0', '\n');
      // They may come in any order.
      answers.push_back(Lines(replies));
      std::ranges::sort(answers.back());
    }
    EXPECT_EQ(answers[0], answers[1]) << testing::PrintToString(rest.substr(0, 100));
  }
  // The old style is a matter of packets: only when the session has answered does the next one begin.
  for (const auto& path : {socket(), real_socket()}) {
    ClamdClient client(path);
    client.Send("nIDSESSION\nnPING\n");
    EXPECT_EQ(client.Receive('\n'), "1: PONG\n");
    client.Send("PING\n");
    EXPECT_EQ(client.ReceiveAll(),
              "2: Only nCMDS\\n and zCMDS\\0 are accepted inside IDSESSION. ERROR\n2: Error processing command. "
              "ERROR\n");
  }
}

TEST_F(BesideClamdTest, AnswersDescriptorsAlike) {
  StartBoth();
  const UniqueFd eicar = OpenFile(root_ / "files/eicar");
  const UniqueFd clean = OpenFile(root_ / "files/clean");
  const UniqueFd empty = OpenFile(root_ / "files/empty");
  const UniqueFd directory = OpenFile(root_ / "files");
  const UniqueFd device = OpenFile("/dev/null");
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd pipe(ends[0]);
  const UniqueFd other_end(ends[1]);
  ::lseek(eicar.Get(), 0, SEEK_END);
  struct Piece {
    std::string bytes;
    std::vector<int> fds;
  };
  const std::vector<std::vector<Piece>> requests = {
      {{"zFILDES\0"s, {}}, {"\0"s, {eicar.Get()}}},
      {{"nFILDES\n", {}}, {"x", {clean.Get()}}},
      {{"FILDES\n", {}}, {"\0"s, {eicar.Get()}}},
      {{"zFILDES\0\0"s, {eicar.Get()}}},
      {{"zFILDES\0"s, {}}, {"\0"s, {empty.Get()}}},
      {{"zFILDES\0"s, {}}, {"\0"s, {pipe.Get()}}},
      {{"zFILDES\0"s, {}}, {"\0"s, {directory.Get()}}},
      {{"zFILDES\0"s, {}}, {"\0"s, {device.Get()}}},
      {{"zFILDES\0\0"s, {}}},
      {{"zFILDES\0"s, {eicar.Get()}}},
      {{"zFILDES\0"s, {}}, {"\0"s, {eicar.Get(), clean.Get()}}},
      {{"zFILDES\0"s, {}}, {"\0"s, {eicar.Get(), clean.Get(), clean.Get()}}},
      {{"zPING\0"s, {eicar.Get()}}},
      {{"zFOO\0"s, {eicar.Get()}}},
      {{"zPI"s, {eicar.Get()}}},
      {{"zIDSESSION\0"s, {}}, {"zPING\0"s, {eicar.Get()}}},
      {{"zIDSESSION\0zFILDES\0\0"s, {eicar.Get()}}, {"zEND\0"s, {}}},
  };
  for (std::size_t i = 0; i < requests.size(); ++i) {
    std::vector<std::string> answers;
    for (const auto& path : {socket(), real_socket()}) {
      ClamdClient client(path);
      for (const Piece& piece : requests[i]) client.Send(piece.bytes, piece.fds);
      answers.push_back(Comparable(client.ReceiveAll()));
    }
    EXPECT_EQ(answers[0], answers[1]) << "request " << i;
  }
}

TEST_F(BesideClamdTest, GivesClamdscanTheSameLines) {
  // What clamdscan sends by path is scanned where it lies.
  const std::string corpus = "/usr/share/clamav-testfiles";
  ASSERT_TRUE(std::filesystem::exists(corpus)) << "the package clamav-testfiles is missing";
  std::size_t copied = 0;
  root_.MakeDirectory("files/system");
  for (const auto& entry : std::filesystem::directory_iterator("/usr/bin")) {
    if (copied == 500) break;
    if (!entry.is_regular_file() || entry.is_symlink() || entry.file_size() > 1024 * 1024) continue;
    std::filesystem::copy_file(entry.path(), std::filesystem::path(files()) / "system" / entry.path().filename());
    ++copied;
  }
  ASSERT_GT(copied, 100u);
  StartBoth({"StreamMaxLength 25M"},
            {"--set", "clamd.allow_paths=" + files() + "," + corpus, "--set", "clamd.stream_max_size=25MiB"});
  const auto configuration = [&](const std::string& name, const std::filesystem::path& path) {
    root_.Write(name, fmt::format("LocalSocket {}\nStreamMaxLength 25M\n", path.native()));
    return (root_ / name).native();
  };
  const std::string ours = configuration("ours.conf", socket());
  const std::string theirs = configuration("theirs.conf", real_socket());
  const std::vector<std::vector<std::string>> modes = {{},
                                                       {"--fdpass"},
                                                       {"--stream"},
                                                       {"--multiscan"},
                                                       {"--multiscan", "--fdpass"},
                                                       {"--multiscan", "--stream"},
                                                       {"--allmatch"},
                                                       {"--allmatch", "--fdpass"},
                                                       {"--allmatch", "--stream"},
                                                       {"--allmatch", "--multiscan"}};
  const auto run = [](const std::string& config, const std::vector<std::string>& mode, const std::string& path) {
    std::vector<std::string> command = {"/usr/bin/clamdscan", "-c", config};
    command.insert(command.end(), mode.begin(), mode.end());
    if (!path.empty()) command.push_back(path);
    Output output = RunProgram(std::move(command));
    std::vector<std::string> lines = Lines(output.text);
    std::erase_if(
        lines, [](const std::string& line) { return line.starts_with("Time:") || line.find(" Date:") != line.npos; });
    if (std::ranges::find(mode, "--multiscan") != mode.end()) std::ranges::sort(lines);
    lines.push_back(fmt::format("exit {}", output.status));
    return lines;
  };
  // What we cannot judge is an ERROR with us, where clamd says nothing.
  std::size_t unscannable = 0;
  const auto without_unscannable = [&](std::vector<std::string> lines) {
    unscannable +=
        std::erase_if(lines, [](const std::string& line) { return line.find(": Unscannable, ") != line.npos; });
    std::erase_if(lines, [](const std::string& line) { return line.starts_with("Total errors:"); });
    return lines;
  };
  for (const auto& mode : modes) {
    for (const std::string& path : {corpus, files()}) {
      const auto expected = run(theirs, mode, path);
      EXPECT_EQ(without_unscannable(run(ours, mode, path)), expected)
          << fmt::format("{} {}", testing::PrintToString(mode), path);
      EXPECT_THAT(expected, testing::Contains(HasSubstr(" FOUND"))) << "the comparison must mean something";
    }
  }
  std::cout << fmt::format("{} of {} files unscannable\n", unscannable / modes.size(), copied);
  EXPECT_LE(unscannable / modes.size(), copied / 100);
  for (const std::string mode : {"--ping=1", "--version", "--reload"}) {
    EXPECT_EQ(run(ours, {mode}, ""), run(theirs, {mode}, "")) << mode;
  }
}

TEST_F(BesideClamdTest, ServesPyclamdAlike) {
  StartBoth();
  root_.Write("ask.py", R"(
import sys, pyclamd
c = pyclamd.ClamdUnixSocket(sys.argv[1])
eicar = open(sys.argv[2] + '/eicar', 'rb').read()
print(c.ping(), c.version(), c.reload(), sorted((c.stats() or '').split('\n')[:2]))
print(c.scan_file(sys.argv[2] + '/eicar'), c.scan_file(sys.argv[2] + '/clean'), c.contscan_file(sys.argv[2]))
print(c.allmatchscan(sys.argv[2] + '/eicar'), sorted((c.multiscan_file(sys.argv[2]) or {}).items()))
print(c.scan_stream(eicar), c.scan_stream(b'clean'))
try: print(c.scan_stream(b'x' * (1024 * 1024 + 1)))
except Exception as e: print(type(e).__name__, e)
)");
  const auto run = [&](const std::filesystem::path& path) {
    return RunProgram({"/usr/bin/python3", (root_ / "ask.py").native(), path.native(), files()});
  };
  const Output ours = run(socket());
  const Output theirs = run(real_socket());
  if (theirs.text.find("No module named") != std::string::npos) GTEST_SKIP() << "python3-pyclamd is not installed";
  EXPECT_EQ(ours.status, 0) << ours.text;
  EXPECT_EQ(ours.text, theirs.text);
  EXPECT_THAT(ours.text, HasSubstr("FOUND"));
}

using ClamdDifferenceTest = ClamdDoorTest;

TEST_F(ClamdDifferenceTest, NothingButAFinishedScanIsOk) {
  StartDoor();
  std::filesystem::create_symlink(root_ / "files/clean", root_ / "files/link");
  std::filesystem::create_symlink("clean", root_ / "files/near");
  std::filesystem::create_symlink("below", root_ / "files/way");
  std::filesystem::create_symlink("/etc", root_ / "files/out");
  ASSERT_EQ(::mkfifo((root_ / "files/fifo").c_str(), 0600), 0);
  const auto scan = [&](const std::string& path) { return Ask(socket(), "nSCAN " + path + "\n"); };
  for (const std::string name : {"link", "near", "fifo"}) {
    EXPECT_EQ(scan(files() + "/" + name), files() + "/" + name + ": Not supported file type ERROR\n");
  }
  EXPECT_EQ(scan("/etc/passwd"), "/etc/passwd: Access denied. ERROR\n");
  EXPECT_EQ(scan("/nowhere"), "/nowhere: Access denied. ERROR\n") << "whether it is there is not told";
  EXPECT_EQ(scan(files() + "/../../../etc/passwd"), files() + "/../../../etc/passwd: Access denied. ERROR\n");
  EXPECT_EQ(scan(files() + "/out/passwd"), files() + "/out/passwd: Access denied. ERROR\n");
  EXPECT_EQ(scan(files() + "x"), files() + "x: Access denied. ERROR\n");
  EXPECT_THAT(scan(files() + "/way/eicar"), HasSubstr("FOUND")) << "a link that stays beneath is followed";
  EXPECT_EQ(scan("/proc/self/root" + files() + "/clean"),
            "/proc/self/root" + files() + "/clean: Access denied. ERROR\n");
  for (const std::string command : {"SHUTDOWN", "QUIT"}) {
    EXPECT_EQ(Ask(socket(), "z" + command + "\0"s), "COMMAND UNAVAILABLE\0"s);
  }
  EXPECT_EQ(Ask(socket(), "nIDSESSION\r\nnPING\r\nnPING\r\nnEND\r\n"), "1: PONG\n2: PONG\n");

  const UniqueFd for_writing = OpenFile(root_ / "files/clean", O_WRONLY);
  ClamdClient client(socket());
  client.Send("nFILDES\nx", {for_writing.Get()});
  EXPECT_EQ(Comparable(client.ReceiveAll()), "fd[N]: Can't read file ERROR\n");

  // What clamd does then depends on how the bytes fall into reads.
  const UniqueFd eicar = OpenFile(root_ / "files/eicar");
  for (const std::string& bytes : {"zINSTREAM\0"s, "zINSTREAM\0"s + Stream("x").substr(0, 5)}) {
    ClamdClient streaming(socket());
    streaming.Send(bytes, {eicar.Get()});
    EXPECT_EQ(streaming.ReceiveAll(),
              "PROTOCOL ERROR: ancillary data sent without FILDES. ERROR\0Error processing command. ERROR\0"s);
  }
  ClamdClient streaming(socket());
  streaming.Send("zINSTREAM\0"s);
  streaming.Send(Stream("x"), {eicar.Get()});
  EXPECT_THAT(streaming.ReceiveAll(), StartsWith("PROTOCOL ERROR: ancillary data sent without FILDES. ERROR\0"s));
}

TEST_F(ClamdDifferenceTest, WhatIsTooDeepIsAnError) {
  root_.Write("files/harmless/1/2/3/4/f", "x");
  StartDoor({"--set", "clamd.max_path_depth=4"});
  const std::string top = files() + "/harmless";
  EXPECT_EQ(Ask(socket(), "nCONTSCAN " + top + "\n"), top + ": OK\n");
  root_.Write("files/harmless/1/2/3/4/5/f", "x");
  EXPECT_EQ(Ask(socket(), "nCONTSCAN " + top + "\n"), top + "/1/2/3/4/5: Directory recursion limit reached. ERROR\n");
}

TEST_F(ClamdDifferenceTest, TooManyFilesAreAnError) {
  StartDoor({"--set", "clamd.max_path_entries=3"});
  const std::string top = files() + "/harmless";
  EXPECT_EQ(Ask(socket(), "nMULTISCAN " + top + "\n"), top + ": OK\n") << "a, b, b/c";
  root_.Write("files/harmless/d", "x");
  EXPECT_EQ(Ask(socket(), "nCONTSCAN " + top + "\n"), top + ": Too many files (clamd.max_path_entries). ERROR\n");
}

}  // namespace
}  // namespace lazaret::tests
