#include "wire/clamd_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include <fmt/format.h>

namespace lazaret::wire {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::string_literals;

constexpr std::uint64_t kLimit = 20;

std::string NameOf(ClamdVerb verb) {
  switch (verb) {
    case ClamdVerb::kUnknown: return "?";
    case ClamdVerb::kPing: return "PING";
    case ClamdVerb::kVersion: return "VERSION";
    case ClamdVerb::kVersionCommands: return "VERSIONCOMMANDS";
    case ClamdVerb::kStats: return "STATS";
    case ClamdVerb::kReload: return "RELOAD";
    case ClamdVerb::kShutdown: return "SHUTDOWN";
    case ClamdVerb::kScan: return "SCAN";
    case ClamdVerb::kContScan: return "CONTSCAN";
    case ClamdVerb::kMultiScan: return "MULTISCAN";
    case ClamdVerb::kAllMatchScan: return "ALLMATCHSCAN";
    case ClamdVerb::kInstream: return "INSTREAM";
    case ClamdVerb::kFildes: return "FILDES";
    case ClamdVerb::kIdSession: return "IDSESSION";
    case ClamdVerb::kEnd: return "END";
    case ClamdVerb::kDetStats: return "DETSTATS";
    case ClamdVerb::kDetStatsClear: return "DETSTATSCLEAR";
  }
  return "";
}

// What happened, one event each; the pieces of a stream are put together.
struct Shown {
  std::vector<std::string> events;

  void operator()(const ClamdCommand& command) {
    events.push_back(fmt::format("{}{}{}{}{}", command.id > 0 ? std::to_string(command.id) + ": " : "",
                                 command.terminator == '\0' ? "z" : "n", NameOf(command.verb),
                                 command.argument.empty() ? "" : " ", command.argument));
  }
  void operator()(const ClamdStreamData& data) {
    EXPECT_FALSE(data.bytes.empty());
    if (events.empty() || !events.back().starts_with("data ")) events.emplace_back("data ");
    events.back() += AsText(data.bytes);
  }
  void operator()(const ClamdStreamEnd&) { events.emplace_back("end"); }
  void operator()(const ClamdFault& fault) {
    events.emplace_back(fault == ClamdFault::kTooLong             ? "too long"
                        : fault == ClamdFault::kOldStyleInSession ? "old style in session"
                                                                  : "stream too large");
  }
};

std::vector<std::string> Read(const std::vector<std::string_view>& pieces) {
  ClamdCommandParser parser(kLimit);
  Shown shown;
  for (const std::string_view piece : pieces) {
    // A copy of its own, so that the sanitizers see a parser that keeps a view of it.
    const std::string copy(piece);
    parser.Feed(AsBytes(copy));
    while (auto event = parser.Next()) std::visit(shown, *event);
  }
  return shown.events;
}

std::vector<std::string> ReadInEveryWay(std::string_view text) {
  const std::vector<std::string> whole = Read({text});
  std::vector<std::string_view> bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    EXPECT_EQ(Read({text.substr(0, at), text.substr(at)}), whole) << "first piece of " << at;
    bytes.push_back(text.substr(at, 1));
  }
  EXPECT_EQ(Read(bytes), whole) << "byte by byte";
  return whole;
}

TEST(ClamdCommandParser, ReadsEveryCommandInItsForms) {
  const std::vector<std::string> plain = {"PING",      "VERSION",  "VERSIONCOMMANDS", "STATS",    "RELOAD",  "END",
                                          "IDSESSION", "INSTREAM", "DETSTATSCLEAR",   "DETSTATS", "SHUTDOWN"};
  for (const std::string& name : plain) {
    EXPECT_THAT(ReadInEveryWay("z" + name + "\0"s), ElementsAre("z" + name));
    EXPECT_THAT(ReadInEveryWay("n" + name + "\n"), ElementsAre("n" + name));
    const bool is_old =
        name != "VERSIONCOMMANDS" && name != "STATS" && name != "END" && name != "IDSESSION" && name != "INSTREAM";
    EXPECT_THAT(Read({name + "\n"}), ElementsAre(is_old ? "n" + name : "n?"));
    EXPECT_THAT(Read({name}), ElementsAre(is_old ? "n" + name : "n?"));
    EXPECT_THAT(ReadInEveryWay("z" + name + " \0"s), ElementsAre("z?")) << "an argument too many";
    EXPECT_THAT(ReadInEveryWay("z" + name + "x\0"s), ElementsAre("z?"));
  }
  for (const std::string name : {"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN"}) {
    EXPECT_THAT(ReadInEveryWay("z" + name + " /a\nb \0"s), ElementsAre("z" + name + " /a\nb "));
    EXPECT_THAT(ReadInEveryWay("n" + name + " /a b\n"), ElementsAre("n" + name + " /a b"));
    EXPECT_THAT(ReadInEveryWay("z" + name + "\0"s), ElementsAre("z?")) << "no argument";
    EXPECT_THAT(ReadInEveryWay("z" + name + " \0"s), ElementsAre("z" + name)) << "an empty one";
    EXPECT_THAT(ReadInEveryWay("z" + name + "x/a\0"s), ElementsAre("z" + name + " /a"));
    EXPECT_THAT(Read({name + " /a"}), ElementsAre(name == "ALLMATCHSCAN" ? "n?" : "n" + name + " /a"));
  }
  EXPECT_THAT(ReadInEveryWay("zQUIT\0"s), ElementsAre("zSHUTDOWN"));
}

TEST(ClamdCommandParser, KnowsNothingElse) {
  for (const std::string text : {"FOO", "ping", "", " PING", "STREAM", "PIN", "\r"}) {
    EXPECT_THAT(ReadInEveryWay("z" + text + "\0"s), ElementsAre("z?")) << text;
    EXPECT_THAT(ReadInEveryWay("n" + text + "\n"), ElementsAre("n?")) << text;
  }
  EXPECT_THAT(ReadInEveryWay("zPING\r\0"s), ElementsAre("z?"));
}

TEST(ClamdCommandParser, TakesCarriageReturnsBeforeLineEnds) {
  EXPECT_THAT(ReadInEveryWay("nPING\r\n"), ElementsAre("nPING"));
  EXPECT_THAT(ReadInEveryWay("nSCAN /a\r\r\n"), ElementsAre("nSCAN /a"));
  EXPECT_THAT(ReadInEveryWay("nIDSESSION\r\nnPING\r\nnPING\r\n"), ElementsAre("nIDSESSION", "1: nPING", "2: nPING"));
  EXPECT_THAT(Read({"PING\r\n"}), ElementsAre("nPING"));
}

TEST(ClamdCommandParser, TakesAPacketForACommandInTheOldStyle) {
  EXPECT_THAT(Read({"PI", "NG\n"}), ElementsAre("n?"));
  EXPECT_THAT(Read({"\n"}), ElementsAre("n?"));
  EXPECT_THAT(Read({"PING\0x"s}), ElementsAre("nPING"));
  EXPECT_THAT(Read({std::string(kMaxClamdCommandBytes, 'a')}), ElementsAre("n?"));
  EXPECT_THAT(Read({"SCAN " + std::string(kMaxClamdCommandBytes - 6, 'a')}),
              ElementsAre("nSCAN " + std::string(kMaxClamdCommandBytes - 6, 'a')));
  EXPECT_THAT(Read({"SCAN " + std::string(kMaxClamdCommandBytes - 5, 'a')}), ElementsAre("n?"));
}

TEST(ClamdCommandParser, TakesOneCommandOutsideASession) {
  EXPECT_THAT(ReadInEveryWay("zPING\0zPING\0"s), ElementsAre("zPING"));
  ClamdCommandParser parser(kLimit);
  const std::string text = "nSCAN /a\nx";
  EXPECT_TRUE(parser.is_between_commands());
  parser.Feed(AsBytes(text));
  EXPECT_TRUE(parser.Next());
  EXPECT_TRUE(parser.is_done());
  EXPECT_TRUE(parser.has_excess());
  EXPECT_FALSE(parser.Next());
}

TEST(ClamdCommandParser, BoundsACommand) {
  const std::string most(kMaxClamdCommandBytes - 2, 'a');
  EXPECT_THAT(ReadInEveryWay("z" + most + "\0"s), ElementsAre("z?"));
  EXPECT_THAT(ReadInEveryWay("n" + most + "\n"), ElementsAre("n?"));
  EXPECT_THAT(ReadInEveryWay("z" + most + "a\0"s), ElementsAre("too long"));
  EXPECT_THAT(ReadInEveryWay("z" + most), IsEmpty());
  EXPECT_THAT(ReadInEveryWay("z" + most + "a"), ElementsAre("too long"));
  EXPECT_THAT(ReadInEveryWay("zIDSESSION\0zPING\0z"s + most + "a\0"s),
              ElementsAre("zIDSESSION", "1: zPING", "too long"));
}

TEST(ClamdCommandParser, ReadsStreams) {
  EXPECT_THAT(ReadInEveryWay("zINSTREAM\0\0\0\0\3abc\0\0\0\2de\0\0\0\0"s),
              ElementsAre("zINSTREAM", "data abcde", "end"));
  EXPECT_THAT(ReadInEveryWay("nINSTREAM\n\0\0\0\0"s), ElementsAre("nINSTREAM", "end"));
  EXPECT_THAT(ReadInEveryWay("nINSTREAM\n\0\0\0\1x\0\0\0\0garbage"s), ElementsAre("nINSTREAM", "data x", "end"));
  EXPECT_THAT(ReadInEveryWay("nINSTREAM\n\0\0\0\4ab"s), ElementsAre("nINSTREAM", "data ab"));
}

TEST(ClamdCommandParser, BoundsAStream) {
  const std::string most = "zINSTREAM\0\0\0\0\x0a"s + "0123456789" + "\0\0\0\x0a"s + "0123456789";
  EXPECT_THAT(ReadInEveryWay(most + "\0\0\0\0"s), ElementsAre("zINSTREAM", "data 01234567890123456789", "end"));
  EXPECT_THAT(ReadInEveryWay(most + "\0\0\0\1"s),
              ElementsAre("zINSTREAM", "data 01234567890123456789", "stream too large"));
  EXPECT_THAT(ReadInEveryWay("zINSTREAM\0\0\0\0\x15"s), ElementsAre("zINSTREAM", "stream too large"));
  EXPECT_THAT(ReadInEveryWay("zINSTREAM\0\xff\xff\xff\xff"s), ElementsAre("zINSTREAM", "stream too large"));
  EXPECT_THAT(ReadInEveryWay("zIDSESSION\0zINSTREAM\0\0\0\0\x14"s + std::string(20, 'x') + "\0\0\0\0"s +
                             "zINSTREAM\0\0\0\0\x14"s + std::string(20, 'x') + "\0\0\0\0"s),
              ElementsAre("zIDSESSION", "1: zINSTREAM", "data " + std::string(20, 'x'), "end", "2: zINSTREAM",
                          "data " + std::string(20, 'x'), "end"))
      << "each stream has the limit to itself";
}

TEST(ClamdCommandParser, CountsTheCommandsOfASession) {
  EXPECT_THAT(ReadInEveryWay("zIDSESSION\0zPING\0nVERSION\nzINSTREAM\0\0\0\0\1x\0\0\0\0zSCAN /a\0zIDSESSION\0zFOO\0"
                             "zEND\0zPING\0"s),
              ElementsAre("zIDSESSION", "1: zPING", "2: nVERSION", "3: zINSTREAM", "data x", "end", "4: zSCAN /a",
                          "5: zIDSESSION", "6: z?", "7: zEND"));
}

TEST(ClamdCommandParser, RefusesTheOldStyleInASession) {
  EXPECT_THAT(ReadInEveryWay("zIDSESSION\0zPING\0PING\n"s),
              ElementsAre("zIDSESSION", "1: zPING", "old style in session"));
  ClamdCommandParser parser(kLimit);
  const std::string text = "zIDSESSION\0zPING\0PING\n"s;
  parser.Feed(AsBytes(text));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(parser.Next());
  EXPECT_EQ(parser.current_id(), 2u);
  EXPECT_FALSE(parser.Next());
}

TEST(ClamdCommandParser, WaitsForTheByteOfTheDescriptor) {
  EXPECT_THAT(ReadInEveryWay("zFILDES\0"s), IsEmpty());
  EXPECT_THAT(ReadInEveryWay("zFILDES\0\0"s), ElementsAre("zFILDES"));
  EXPECT_THAT(ReadInEveryWay("nFILDES\nx"), ElementsAre("nFILDES"));
  EXPECT_THAT(ReadInEveryWay("zIDSESSION\0zFILDES\0xzFILDES\0yzPING\0"s),
              ElementsAre("zIDSESSION", "1: zFILDES", "2: zFILDES", "3: zPING"));
  EXPECT_THAT(Read({"FILDES\n", "x"}), ElementsAre("nFILDES"));
  EXPECT_THAT(Read({"FILDES", "x"}), IsEmpty());
  EXPECT_THAT(Read({"FILDES", "\nx"}), ElementsAre("nFILDES"));
  ClamdCommandParser parser(kLimit);
  const std::string text = "zFILDES\0"s;
  parser.Feed(AsBytes(text));
  EXPECT_FALSE(parser.Next());
  EXPECT_TRUE(parser.awaits_descriptor());
  EXPECT_FALSE(parser.is_between_commands());
}

TEST(ClamdCommandParser, KnowsWhereAStreamIsCut) {
  ClamdCommandParser parser(kLimit);
  const std::string text = "zIDSESSION\0zINSTREAM\0\0\0"s;
  parser.Feed(AsBytes(text));
  EXPECT_TRUE(parser.Next());
  EXPECT_TRUE(parser.Next());
  EXPECT_FALSE(parser.Next());
  EXPECT_TRUE(parser.in_stream());
  EXPECT_EQ(parser.current_id(), 1u);
  EXPECT_EQ(parser.terminator(), '\0');
}

}  // namespace
}  // namespace lazaret::wire
