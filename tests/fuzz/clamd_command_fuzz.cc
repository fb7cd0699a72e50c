// The first byte chooses how the rest, what a client sends, is cut into pieces: but for commands in the old style,
// where a read is a command, the events are the same for every cut.
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fuzz_support.h"
#include "wire/clamd_answer.h"
#include "wire/clamd_command.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

constexpr std::uint64_t kMaxStream = 1000;

struct Reading {
  std::vector<std::string> events;
  bool has_old_style = false;
  friend bool operator==(const Reading&, const Reading&) = default;
};

template <class Take>
Reading Read(std::string_view text, Take take) {
  wire::ClamdCommandParser parser(kMaxStream);
  Reading out;
  std::uint64_t stream = 0;
  while (!text.empty()) {
    const std::string piece(take(text));
    // A command begins with this byte: does it have a z or an n?
    if (parser.is_between_commands() && piece.front() != 'z' && piece.front() != 'n') out.has_old_style = true;
    parser.Feed(AsBytes(piece));
    while (auto event = parser.Next()) {
      if (const auto* command = std::get_if<wire::ClamdCommand>(&*event)) {
        Require(command->argument.size() < wire::kMaxClamdCommandBytes, "a command is bounded");
        Require((command->id > 0) == (parser.in_session() && command->verb != wire::ClamdVerb::kIdSession) ||
                    command->verb == wire::ClamdVerb::kIdSession,
                "only a session has ids");
        const std::string answer = wire::ClamdAnswer(*command).Error(command->argument, "x");
        Require(
            answer.find(command->terminator) == answer.size() - 1 || command->argument.find('\0') != std::string::npos,
            "an answer is one reply");
        out.events.push_back(std::to_string(static_cast<int>(command->verb)) + answer);
        stream = 0;
      } else if (const auto* data = std::get_if<wire::ClamdStreamData>(&*event)) {
        Require(!data->bytes.empty(), "data is never empty");
        stream += data->bytes.size();
        Require(stream <= kMaxStream, "a stream is bounded");
        if (out.events.empty() || !out.events.back().starts_with("data")) out.events.emplace_back("data");
        out.events.back() += AsText(data->bytes);
      } else if (std::holds_alternative<wire::ClamdStreamEnd>(*event)) {
        out.events.emplace_back("end");
      } else {
        out.events.push_back("fault" + std::to_string(static_cast<int>(std::get<wire::ClamdFault>(*event))));
      }
    }
  }
  return out;
}

std::string_view TakeAll(std::string_view& rest) { return std::exchange(rest, {}); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = Text(data + 1, size - 1);
  const Reading whole = Read(text, TakeAll);
  Cutter cutter(data[0]);
  const Reading cut = Read(text, [&](std::string_view& rest) { return cutter.Take(rest); });
  const Reading bytes = Read(text, [](std::string_view& rest) {
    const std::string_view piece = rest.substr(0, 1);
    rest.remove_prefix(1);
    return piece;
  });
  if (!whole.has_old_style && !cut.has_old_style && !bytes.has_old_style) {
    Require(cut == whole, "cuts change nothing");
    Require(bytes == whole, "byte by byte is the same");
  }
  return 0;
}
