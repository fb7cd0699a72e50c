#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "wire/clamd_command.h"

// The replies of clamd, byte for byte (as clamd 1.4.6 gives them).
namespace lazaret::wire {

// Puts the id of a session in front and the terminator of the command behind. A line end within a '\n'-terminated
// reply, which only a file name can bring, becomes '?': it would forge a second reply.
class ClamdAnswer {
 public:
  ClamdAnswer(std::uint32_t id, char terminator) : id_(id), terminator_(terminator) {}
  explicit ClamdAnswer(const ClamdCommand& command) : ClamdAnswer(command.id, command.terminator) {}

  // `subject` is a path, "stream" or "fd[12]".
  std::string Ok(std::string_view subject) const;
  std::string Found(std::string_view subject, std::string_view signature) const;
  // `text` is made fit for the protocol: one line of bounded length.
  std::string Error(std::string_view subject, std::string_view text) const;
  // About the command or the connection as a whole: "<text> ERROR".
  std::string Failure(std::string_view text) const;
  // Anything else: "PONG", the version, the statistics. Line ends stay.
  std::string Plain(std::string_view text) const;

 private:
  std::string Line(std::string text) const;

  std::uint32_t id_;
  char terminator_;
};

inline constexpr std::string_view kClamdPong = "PONG";
inline constexpr std::string_view kClamdReloading = "RELOADING";
inline constexpr std::string_view kClamdUnknown = "UNKNOWN COMMAND";
inline constexpr std::string_view kClamdUnavailable = "COMMAND UNAVAILABLE";
// Ends with '\n' whatever the command.
inline constexpr std::string_view kClamdReadTimedOut = "COMMAND READ TIMED OUT\n";
// For ClamdAnswer::Failure.
inline constexpr std::string_view kClamdStreamTooLarge = "INSTREAM size limit exceeded.";
inline constexpr std::string_view kClamdNoDescriptor = "No file descriptor received.";
inline constexpr std::string_view kClamdStrayDescriptor = "PROTOCOL ERROR: ancillary data sent without FILDES.";
inline constexpr std::string_view kClamdOldStyleInSession = "Only nCMDS\\n and zCMDS\\0 are accepted inside IDSESSION.";
inline constexpr std::string_view kClamdInvalidInSession = "Command invalid inside IDSESSION.";
inline constexpr std::string_view kClamdProcessing = "Error processing command.";
// For ClamdAnswer::Error.
inline constexpr std::string_view kClamdAccessDenied = "Access denied.";
inline constexpr std::string_view kClamdNotSupported = "Not supported file type";
inline constexpr std::string_view kClamdNotRegular = "Not a regular file";

struct ClamdDailyVersion {
  std::uint32_t version;
  WallTime built_at;
};
// "ClamAV 1.4.6/28129/Mon Nov 23 07:00:00 2026", in local time; "ClamAV 1.4.6" without a daily database.
std::string FormatClamdVersion(std::string_view engine_version, const std::optional<ClamdDailyVersion>& daily);
// The answer to VERSIONCOMMANDS.
std::string ClamdVersionCommands(std::string_view version);

struct ClamdStats {
  bool ready = false;
  std::size_t threads_live = 0;
  std::size_t threads_idle = 0;
  std::size_t threads_max = 0;
  std::size_t idle_timeout_s = 0;
  std::size_t queued = 0;
  std::uint64_t memory_used = 0;  // bytes
  std::uint64_t memory_total = 0;
};
std::string FormatClamdStats(const ClamdStats& stats);

}  // namespace lazaret::wire
