#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

// What clamd answers (clamd(8), the z commands). Each function takes everything that the server sent until it closed
// the connection, and accepts exactly one reply to the command that was asked, its NUL included; everything else is
// kMalformed, so that nothing but the two words that mean it is ever taken for clean.
namespace lazaret::wire {

// Longer replies are refused.
inline constexpr std::size_t kMaxClamdReply = 4096;

// The commands that scan.
enum class ClamdScanCommand : std::uint8_t { kInstream, kFildes };

struct ClamdVersion {
  std::string text;    // as sent: "ClamAV 1.4.6/28129/Mon Nov 23 07:00:00 2026"
  std::string engine;  // "1.4.6"
  // Both empty while the server has no daily database.
  std::optional<std::uint32_t> daily;
  // Told in the server's time zone, which is not told: taken for a time of ours (localtime(3)), as on one machine, and
  // as FormatClamdVersion tells it.
  std::optional<WallTime> built_at;

  friend bool operator==(const ClamdVersion&, const ClamdVersion&) = default;
};

enum class ClamdFinding : std::uint8_t {
  kClean,
  kInfected,       // text: the signature's name
  kLimitExceeded,  // text: the alert's name, or clamd's words
  kEncrypted,      // text: the alert's name
  kError,          // text: clamd's words; no verdict
};

struct ClamdScanReply {
  ClamdFinding finding;
  std::string text;

  friend bool operator==(const ClamdScanReply&, const ClamdScanReply&) = default;
};

Result<void> ParseClamdPong(std::string_view reply);
Result<ClamdVersion> ParseClamdVersion(std::string_view reply);
Result<ClamdScanReply> ParseClamdScanReply(ClamdScanCommand command, std::string_view reply);

}  // namespace lazaret::wire
