// Files whose file system never answers: what is asked for them ends in time, and nobody else waits for them.
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "integration/clamd_door_fixture.h"
#include "integration/hanging_files.h"

namespace lazaret::tests {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using Question = HangingFiles::Question;

class ClamdHangTest : public ClamdDoorTest {
 protected:
  std::filesystem::path mount() const { return root_ / "files/hanging"; }
  void ExpectServes() {
    EXPECT_EQ(Ask(socket(), "zPING\0"s), "PONG\0"s);
    EXPECT_EQ(Ask(socket(), "zINSTREAM\0"s + Stream("x")), "stream: OK\0"s);
    EXPECT_EQ(Ask(socket(), "zSCAN " + files() + "/clean\0"s), files() + "/clean: OK\0"s);
    EXPECT_EQ(Ask(socket(), "zCONTSCAN " + files() + "/harmless\0"s), files() + "/harmless: OK\0"s);
    EXPECT_EQ(AskForDescriptor(clean_.Get()), "fd[N]: OK\0"s);
  }
  std::string AskForDescriptor(int fd) {
    ClamdClient client(socket());
    client.Send("zFILDES\0"s);
    client.Send("\0"s, {fd});
    return Comparable(client.ReceiveAll());
  }

  const UniqueFd clean_ = OpenFile(root_ / "files/clean");
};

#define SKIP_UNLESS_MOUNTED(files) \
  if (!(files).is_mounted()) GTEST_SKIP() << "only those who may mount can have a file system that hangs"

TEST_F(ClamdHangTest, AFileThatHangsIsAnErrorWhenItsTimeIsUp) {
  StartDoor({"--set", "clamd.request_timeout=1s"});
  for (const Question question : {Question::kRead, Question::kOpen, Question::kLookup}) {
    const HangingFiles hanging(mount(), {question});
    SKIP_UNLESS_MOUNTED(hanging);
    for (const std::string verb : {"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN"}) {
      const std::string path = hanging / "file";
      EXPECT_EQ(Ask(socket(), "z" + verb + " " + path + "\0"s), path + ": Time limit reached ERROR\0"s);
    }
    EXPECT_GT(hanging.hanging(), 0u);
    ExpectServes();
  }
}

TEST_F(ClamdHangTest, ADirectoryThatHangsIsAnErrorWhenItsTimeIsUp) {
  StartDoor({"--set", "clamd.request_timeout=1s"});
  const HangingFiles hanging(mount(), {Question::kReadDirectory});
  SKIP_UNLESS_MOUNTED(hanging);
  for (const std::string verb : {"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN"}) {
    const std::string path = hanging / "directory";
    EXPECT_EQ(Ask(socket(), "z" + verb + " " + path + "\0"s), path + ": Time limit reached ERROR\0"s);
  }
  ExpectServes();
}

TEST_F(ClamdHangTest, AFileThatHangsInADirectoryIsOneError) {
  StartDoor({"--set", "clamd.request_timeout=1s"});
  const HangingFiles hanging(mount(), {Question::kRead});
  SKIP_UNLESS_MOUNTED(hanging);
  for (const std::string verb : {"CONTSCAN", "MULTISCAN"}) {
    const std::string path = hanging / "directory";
    EXPECT_EQ(Ask(socket(), "z" + verb + " " + path + "\0"s), path + "/file: Time limit reached ERROR\0"s);
  }
}

TEST_F(ClamdHangTest, ADescriptorThatHangsIsAnErrorWhenItsTimeIsUp) {
  StartDoor({"--set", "clamd.request_timeout=1s"});
  UniqueFd fd;
  const HangingFiles hanging(mount(), {Question::kRead});
  SKIP_UNLESS_MOUNTED(hanging);
  fd = OpenFile(hanging / "file");
  EXPECT_EQ(AskForDescriptor(fd.Get()), "fd[N]: Time limit reached ERROR\0"s);
  ClamdClient session(socket());
  session.Send("zIDSESSION\0zFILDES\0"s);
  session.Send("\0"s, {fd.Get()});
  EXPECT_EQ(Comparable(session.Receive('\0')), "1: fd[N]: Time limit reached ERROR\0"s);
  session.Send("zPING\0zEND\0"s);
  EXPECT_EQ(session.ReceiveAll(), "2: PONG\0"s);
  ExpectServes();
}

TEST_F(ClamdHangTest, WhatHangsHoldsUpNobodyElse) {
  StartDoor();
  UniqueFd fd;
  const HangingFiles hanging(mount(), {Question::kRead});
  SKIP_UNLESS_MOUNTED(hanging);
  fd = OpenFile(hanging / "file");
  std::vector<std::unique_ptr<ClamdClient>> waiting;
  for (int i = 0; i < 10; ++i) {
    waiting.push_back(std::make_unique<ClamdClient>(socket()));
    waiting.back()->Send(fmt::format("zSCAN {}/{}", mount().native(), i) + "\0"s);
  }
  // More than one connection may have read at a time, and no more than a session may have under way.
  ClamdClient session(socket());
  session.Send("zIDSESSION\0"s);
  for (int i = 0; i < 8; ++i) session.Send("zFILDES\0\0"s, {fd.Get()});
  session.Send("zVERSION\0"s);
  EXPECT_THAT(session.Receive('\0'), testing::StartsWith("9: ClamAV"));
  ExpectServes();
}

TEST_F(ClamdHangTest, AClientThatLeavesDoesNotWaitForItsFile) {
  StartDoor();
  const HangingFiles hanging(mount(), {Question::kRead});
  SKIP_UNLESS_MOUNTED(hanging);
  {
    ClamdClient client(socket());
    client.Send("zSCAN " + mount().native() + "/file\0"s);
    EXPECT_TRUE(Eventually([&] { return hanging.hanging() > 0; }));
  }
  EXPECT_TRUE(MetricBecomes("lazaret_clamd_connections", 0));
}

TEST_F(ClamdHangTest, EndsAlthoughAFileHangs) {
  StartDoor({"--set", "drain_timeout=100ms"});
  const HangingFiles hanging(mount(), {Question::kRead});
  SKIP_UNLESS_MOUNTED(hanging);
  ClamdClient client(socket());
  client.Send("zSCAN " + mount().native() + "/file\0"s);
  EXPECT_TRUE(Eventually([&] { return hanging.hanging() > 0; }));
  EXPECT_EQ(server().Terminate(), 0);
}

TEST_F(ClamdHangTest, AClientThatLeavesAfterTheEndOfItsSessionDoesNotWait) {
  StartDoor();
  UniqueFd fd;
  const HangingFiles hanging(mount(), {Question::kRead});
  SKIP_UNLESS_MOUNTED(hanging);
  fd = OpenFile(hanging / "file");
  {
    ClamdClient client(socket());
    client.Send("zIDSESSION\0zFILDES\0"s);
    client.Send("\0"s, {fd.Get()});
    client.Send("zEND\0"s);
    EXPECT_TRUE(Eventually([&] { return hanging.hanging() > 0; }));
  }
  EXPECT_TRUE(MetricBecomes("lazaret_clamd_connections", 0));
}

TEST_F(ClamdHangTest, WalksWaitForEachOtherAndFilesDoNot) {
  StartDoor({"--set", "clamd.max_path_walks=1"});
  const HangingFiles hanging(mount(), {Question::kRead});
  SKIP_UNLESS_MOUNTED(hanging);
  ClamdClient waiting(socket());
  {
    ClamdClient client(socket());
    client.Send("zCONTSCAN " + (hanging / "directory").native() + "\0"s);
    EXPECT_TRUE(Eventually([&] { return hanging.hanging() > 0; }));
    waiting.Send("zCONTSCAN " + files() + "/harmless\0"s);
    EXPECT_EQ(Ask(socket(), "zSCAN " + files() + "/clean\0"s), files() + "/clean: OK\0"s);
    EXPECT_EQ(Ask(socket(), "zPING\0"s), "PONG\0"s);
  }
  EXPECT_EQ(waiting.ReceiveAll(), files() + "/harmless: OK\0"s);
}

// Closing a file can hang as well as reading it.
TEST_F(ClamdHangTest, ClosingWhatHangsHoldsUpNobody) {
  StartDoor({"--set", "threads=1"});
  UniqueFd fd;
  const HangingFiles hanging(mount(), {Question::kFlush});
  SKIP_UNLESS_MOUNTED(hanging);
  // A high number is closed behind the file system's own, however this process ends.
  fd.Reset(::fcntl(OpenFile(hanging / "file").Get(), F_DUPFD_CLOEXEC, 500));
  EXPECT_EQ(AskForDescriptor(fd.Get()), "fd[N]: OK\0"s);
  EXPECT_TRUE(Eventually([&] { return hanging.hanging() == 1; }));
  ExpectServes();
  const std::string path = hanging / "file";
  EXPECT_EQ(Ask(socket(), "zSCAN " + path + "\0"s), path + ": OK\0"s);
  // Descriptors that nobody asked for.
  {
    ClamdClient client(socket());
    client.Send("zPING\0"s, {fd.Get()});
    EXPECT_EQ(client.ReceiveAll(), "PONG\0"s);
  }
  for (const std::string& bytes : {"zINSTREAM\0"s, "zFI"s}) {
    ClamdClient client(socket());
    client.Send(bytes, {fd.Get()});
    EXPECT_THAT(client.ReceiveAll(), HasSubstr("PROTOCOL ERROR"));
  }
  ClamdClient client(socket());
  client.Send("zFILDES\0\0"s, {fd.Get(), fd.Get()});
  EXPECT_EQ(client.ReceiveAll(), "No file descriptor received. ERROR\0"s);
  ExpectServes();
}

}  // namespace
}  // namespace lazaret::tests
