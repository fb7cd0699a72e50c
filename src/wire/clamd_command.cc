#include "wire/clamd_command.h"

#include <algorithm>
#include <array>
#include <utility>

namespace lazaret::wire {
namespace {

struct Word {
  std::string_view name;
  ClamdVerb verb;
  bool has_argument;
  bool old_style;
};

// The first that fits counts: a longer name stands before its beginning.
constexpr std::array kWords = {
    Word{"SCAN", ClamdVerb::kScan, true, true},
    Word{"QUIT", ClamdVerb::kShutdown, false, true},
    Word{"RELOAD", ClamdVerb::kReload, false, true},
    Word{"PING", ClamdVerb::kPing, false, true},
    Word{"CONTSCAN", ClamdVerb::kContScan, true, true},
    Word{"VERSIONCOMMANDS", ClamdVerb::kVersionCommands, false, false},
    Word{"VERSION", ClamdVerb::kVersion, false, true},
    Word{"END", ClamdVerb::kEnd, false, false},
    Word{"SHUTDOWN", ClamdVerb::kShutdown, false, true},
    Word{"MULTISCAN", ClamdVerb::kMultiScan, true, true},
    Word{"FILDES", ClamdVerb::kFildes, false, true},
    Word{"STATS", ClamdVerb::kStats, false, false},
    Word{"IDSESSION", ClamdVerb::kIdSession, false, false},
    Word{"INSTREAM", ClamdVerb::kInstream, false, false},
    Word{"DETSTATSCLEAR", ClamdVerb::kDetStatsClear, false, true},
    Word{"DETSTATS", ClamdVerb::kDetStats, false, true},
    Word{"ALLMATCHSCAN", ClamdVerb::kAllMatchScan, true, false},
};

constexpr std::size_t kChunkSizeBytes = 4;

ClamdCommand Parse(std::string_view text, char terminator, bool old_style) {
  ClamdCommand command{.terminator = terminator};
  const auto word = std::ranges::find_if(kWords, [&](const Word& w) { return text.starts_with(w.name); });
  if (word == kWords.end()) return command;
  const std::string_view rest = text.substr(word->name.size());
  if (rest.empty() == word->has_argument || (old_style && !word->old_style)) return command;
  command.verb = word->verb;
  // Whatever one byte separates it.
  if (word->has_argument) command.argument = rest.substr(1);
  return command;
}

std::string_view WithoutLineEnd(std::string_view text) {
  text = text.substr(0, text.find('\0'));
  const std::size_t last = text.find_last_not_of("\r\n");
  return text.substr(0, last == text.npos ? 0 : last + 1);
}

}  // namespace

std::optional<ClamdEvent> ClamdCommandParser::Next() {
  while (state_ != State::kDone && !input_.empty()) {
    std::optional<ClamdEvent> event;
    switch (state_) {
      case State::kCommand: event = NextCommand(); break;
      case State::kDescriptorByte:
        input_.remove_prefix(1);
        if (--bytes_due_ == 0) {
          state_ = State::kCommand;
          event = Deliver(std::exchange(descriptor_for_, {}));
        }
        break;
      case State::kChunkSize:
      case State::kChunkData: event = NextChunk(); break;
      case State::kDone: break;
    }
    if (event) return event;
  }
  return std::nullopt;
}

std::optional<ClamdEvent> ClamdCommandParser::NextCommand() {
  const char first = partial_.empty() ? input_.front() : partial_.front();
  if (first != 'z' && first != 'n') return TakeOldStyle();
  const char terminator = first == 'z' ? '\0' : '\n';
  const std::size_t end = input_.find(terminator);
  const std::string_view piece = input_.substr(0, end);
  if (partial_.size() + piece.size() >= kMaxClamdCommandBytes) return Fail(ClamdFault::kTooLong);
  if (end == input_.npos) {
    partial_ += std::exchange(input_, {});
    return std::nullopt;
  }
  const std::string text = std::exchange(partial_, {}) + std::string(piece);
  input_.remove_prefix(end + 1);
  const std::string_view name = std::string_view(text).substr(1);
  return Begin(terminator == '\n' ? WithoutLineEnd(name) : name, terminator, false, true);
}

std::optional<ClamdEvent> ClamdCommandParser::TakeOldStyle() {
  if (in_session_) return Fail(ClamdFault::kOldStyleInSession);
  const std::size_t end = input_.find('\n');
  const std::string_view text = input_.substr(0, end);
  input_.remove_prefix(std::min(input_.size(), text.size() + 1));
  return Begin(text.size() < kMaxClamdCommandBytes ? WithoutLineEnd(text) : "", '\n', true, end != input_.npos);
}

std::optional<ClamdEvent> ClamdCommandParser::Begin(std::string_view text, char terminator, bool old_style,
                                                    bool is_delimited) {
  ClamdCommand command = Parse(text, terminator, old_style);
  if (command.verb != ClamdVerb::kFildes) return Deliver(std::move(command));
  descriptor_for_ = std::move(command);
  bytes_due_ = is_delimited ? 1 : 2;
  state_ = State::kDescriptorByte;
  return std::nullopt;
}

std::optional<ClamdEvent> ClamdCommandParser::Deliver(ClamdCommand command) {
  terminator_ = command.terminator;
  if (command.verb == ClamdVerb::kIdSession && !in_session_) {
    in_session_ = true;
    return command;
  }
  if (in_session_) command.id = next_id_;
  if (command.verb == ClamdVerb::kInstream) {
    state_ = State::kChunkSize;
    stream_left_ = max_stream_;
    return command;
  }
  ++next_id_;
  if (!in_session_ || command.verb == ClamdVerb::kEnd) {
    state_ = State::kDone;
  }
  return command;
}

std::optional<ClamdEvent> ClamdCommandParser::NextChunk() {
  if (state_ == State::kChunkData) {
    const std::string_view data =
        input_.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, input_.size())));
    input_.remove_prefix(data.size());
    chunk_left_ -= data.size();
    if (chunk_left_ == 0) state_ = State::kChunkSize;
    return ClamdStreamData{AsBytes(data)};
  }
  const std::string_view piece = input_.substr(0, kChunkSizeBytes - partial_.size());
  partial_ += piece;
  input_.remove_prefix(piece.size());
  if (partial_.size() < kChunkSizeBytes) return std::nullopt;
  chunk_left_ = 0;
  for (const char c : std::exchange(partial_, {})) chunk_left_ = chunk_left_ << 8 | static_cast<unsigned char>(c);
  if (chunk_left_ == 0) {
    ++next_id_;
    state_ = in_session_ ? State::kCommand : State::kDone;
    return ClamdStreamEnd{};
  }
  if (chunk_left_ > stream_left_) return Fail(ClamdFault::kStreamTooLarge);
  stream_left_ -= chunk_left_;
  state_ = State::kChunkData;
  return std::nullopt;
}

std::optional<ClamdEvent> ClamdCommandParser::Fail(ClamdFault fault) {
  input_ = {};
  state_ = State::kDone;
  return fault;
}

}  // namespace lazaret::wire
