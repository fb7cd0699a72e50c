// The first byte chooses how the rest is read: as the reply to INSTREAM, FILDES, VERSION or PING. Whatever is accepted
// can be written again in just one way; clean is nothing but the words for it.
#include <string>

#include <fmt/format.h>

#include "fuzz_support.h"
#include "wire/clamd_reply.h"

using namespace lazaret;
using namespace lazaret::fuzz;
using namespace std::string_literals;

namespace {

void CheckScan(wire::ClamdScanCommand command, std::string_view reply) {
  const auto parsed = wire::ParseClamdScanReply(command, reply);
  if (!parsed) return;
  Require(reply.size() <= wire::kMaxClamdReply, "a reply is bounded");
  Require(reply.find('\0') == reply.size() - 1, "a reply is one line");
  const std::string_view line = reply.substr(0, reply.size() - 1);
  switch (parsed->finding) {
    case wire::ClamdFinding::kClean:
      if (command == wire::ClamdScanCommand::kInstream) return Require(reply == "stream: OK\0"s, "clean is clean");
      return Require(line.starts_with("fd[") && line.ends_with("]: OK") && line.size() <= 18, "clean is clean");
    case wire::ClamdFinding::kInfected:
      Require(line.ends_with(": " + parsed->text + " FOUND"), "what was found is named");
      return Require(!parsed->text.empty() && !parsed->text.starts_with("Heuristics.Limits.Exceeded"), "it is a name");
    case wire::ClamdFinding::kLimitExceeded:
    case wire::ClamdFinding::kEncrypted:
    case wire::ClamdFinding::kError: return Require(!parsed->text.empty(), "the reason is told");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view reply = Text(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: CheckScan(wire::ClamdScanCommand::kInstream, reply); break;
    case 1: CheckScan(wire::ClamdScanCommand::kFildes, reply); break;
    case 2:
      if (const auto version = wire::ParseClamdVersion(reply)) {
        Require(reply == version->text + "\0"s, "the text is what was sent");
        Require(version->daily.has_value() == version->built_at.has_value(), "a daily database has a date");
      }
      break;
    default: Require(!wire::ParseClamdPong(reply) || reply == "PONG\0"s, "only PONG is PONG");
  }
  return 0;
}
