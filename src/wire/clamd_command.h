#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/digest.h"

// The commands of clamd's protocol (clamd(8), COMMANDS; edges as clamd 1.4.6 was seen to treat them): "zCMD\0" and
// "nCMD\n", or bare "CMD" in the old style, where what arrives in one read is the command.
namespace lazaret::wire {

// Of one command, with its z or n and its terminator; clamd's own buffer holds as much.
inline constexpr std::size_t kMaxClamdCommandBytes = 4104;

enum class ClamdVerb : std::uint8_t {
  kUnknown,
  kPing,
  kVersion,
  kVersionCommands,
  kStats,
  kReload,
  kShutdown,  // also QUIT
  kScan,
  kContScan,
  kMultiScan,
  kAllMatchScan,
  kInstream,  // its content follows
  kFildes,    // the byte that carries the descriptor has been read
  kIdSession,
  kEnd,
  kDetStats,
  kDetStatsClear,
};

struct ClamdCommand {
  ClamdVerb verb = ClamdVerb::kUnknown;
  std::string argument;    // a path, as sent
  std::uint32_t id = 0;    // in a session, counted from 1; otherwise 0
  char terminator = '\n';  // of the answer
};
struct ClamdStreamData {
  Bytes bytes;  // never empty
};
struct ClamdStreamEnd {};
// The client broke the protocol: nothing more can be read from it.
enum class ClamdFault : std::uint8_t {
  kTooLong,  // a command is longer than kMaxClamdCommandBytes
  kOldStyleInSession,
  kStreamTooLarge,  // INSTREAM announces more than the limit
};
using ClamdEvent = std::variant<ClamdCommand, ClamdStreamData, ClamdStreamEnd, ClamdFault>;

// Turns what a client sends into events as its bytes arrive:
//
//   parser.Feed(bytes);
//   while (auto event = parser.Next()) ...
//
// The bytes given to Feed must stay where they are until Next returned empty; those of a ClamdStreamData lie in them.
// Memory is bounded by kMaxClamdCommandBytes. Outside a session there is one command; what follows it stays unread.
class ClamdCommandParser {
 public:
  // `max_stream`: bytes of one INSTREAM content.
  explicit ClamdCommandParser(std::uint64_t max_stream) : max_stream_(max_stream) {}

  // Only after Next returned empty, and at the beginning. In the old style each call is one packet.
  void Feed(Bytes bytes) { input_ = AsText(bytes); }
  // Empty when more input is needed, after the last command, and for ever after a fault.
  std::optional<ClamdEvent> Next();

  bool in_session() const { return in_session_; }
  bool in_stream() const { return state_ == State::kChunkSize || state_ == State::kChunkData; }
  // A FILDES has come, but not the byte with its descriptor.
  bool awaits_descriptor() const { return state_ == State::kDescriptorByte; }
  // Nothing has come of a next command.
  bool is_between_commands() const { return state_ == State::kCommand && partial_.empty(); }
  // There was a command, no more are taken.
  bool is_done() const { return state_ == State::kDone; }
  // The client has sent more behind its only command.
  bool has_excess() const { return is_done() && !input_.empty(); }
  // Of an error that answers no command: the terminator of the last command, '\0' before the first one; the id of the
  // command or stream that is being read, or of the next one.
  char terminator() const { return terminator_; }
  std::uint32_t current_id() const { return in_session_ ? next_id_ : 0; }

 private:
  enum class State : std::uint8_t { kCommand, kDescriptorByte, kChunkSize, kChunkData, kDone };

  std::optional<ClamdEvent> NextCommand();
  std::optional<ClamdEvent> TakeOldStyle();
  std::optional<ClamdEvent> Begin(std::string_view text, char terminator, bool old_style, bool is_delimited);
  std::optional<ClamdEvent> Deliver(ClamdCommand command);
  std::optional<ClamdEvent> NextChunk();
  std::optional<ClamdEvent> Fail(ClamdFault fault);

  const std::uint64_t max_stream_;
  std::string_view input_;
  std::string partial_;  // a command that is not complete, or a part of a chunk's size
  State state_ = State::kCommand;
  bool in_session_ = false;
  char terminator_ = '\0';
  std::uint32_t next_id_ = 1;
  int bytes_due_ = 0;              // until the descriptor's byte
  ClamdCommand descriptor_for_;    // the FILDES that waits for it
  std::uint64_t stream_left_ = 0;  // of max_stream_
  std::uint64_t chunk_left_ = 0;
};

}  // namespace lazaret::wire
