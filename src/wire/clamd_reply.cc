#include "wire/clamd_reply.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <ctime>

#include <fmt/format.h>

namespace lazaret::wire {
namespace {

constexpr std::size_t kMostDescriptorDigits = 10;

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// For a message: what arrived, short and plain.
std::string Shown(std::string_view reply) {
  constexpr std::size_t kMostShown = 80;
  std::string shown(reply.substr(0, kMostShown));
  std::ranges::replace_if(shown, [](char c) { return c < ' ' || c > '~'; }, '?');
  return shown;
}

std::unexpected<Error> Refuse(std::string_view reply) {
  if (reply.empty()) return Fail(Errc::kDisconnected, "clamd closed the connection without a reply");
  return Fail(Errc::kMalformed, fmt::format("clamd sent {} bytes that are no reply to what it was asked: \"{}\"",
                                            reply.size(), Shown(reply)));
}

// The one line in `reply`, without its NUL.
std::optional<std::string_view> OneLine(std::string_view reply) {
  if (reply.size() > kMaxClamdReply || !reply.ends_with('\0')) return std::nullopt;
  reply.remove_suffix(1);
  if (!IsPrintable(reply)) return std::nullopt;
  return reply;
}

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool TakeSuffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

template <std::unsigned_integral T>
std::optional<T> Number(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "stream: " or "fd[12]: ".
bool TakeSubject(ClamdScanCommand command, std::string_view& line) {
  if (command == ClamdScanCommand::kInstream) return TakePrefix(line, "stream: ");
  std::string_view rest = line;
  if (!TakePrefix(rest, "fd[")) return false;
  const std::size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
  if (digits == 0 || digits > kMostDescriptorDigits) return false;
  rest.remove_prefix(digits);
  if (!TakePrefix(rest, "]: ")) return false;
  line = rest;
  return true;
}

bool IsWord(std::string_view text) { return !text.empty() && text.front() != ' ' && text.back() != ' '; }

ClamdScanReply Found(std::string_view name) {
  // With AlertExceedsMax and AlertEncrypted: nothing was found, but not everything was looked at.
  const ClamdFinding finding = name.starts_with("Heuristics.Limits.Exceeded") ? ClamdFinding::kLimitExceeded
                               : name.starts_with("Heuristics.Encrypted")     ? ClamdFinding::kEncrypted
                                                                              : ClamdFinding::kInfected;
  return {finding, std::string(name)};
}

// A time of our time zone. One that it leaves out, when its clocks go forward, becomes one an hour away.
std::optional<WallTime> FromLocal(std::tm local) {
  local.tm_isdst = -1;
  local.tm_wday = -1;
  const std::time_t time = ::mktime(&local);
  if (local.tm_wday == -1) return std::nullopt;  // -1 is a time, too
  return WallTime(seconds(time));
}

// asctime(3) without its newline: "Mon Nov  3 07:00:00 2026".
std::optional<WallTime> ParseCtime(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr std::array<std::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  if (text.size() != 24 || text[3] != ' ' || text[7] != ' ' || text[10] != ' ' || text[13] != ':' || text[16] != ':' ||
      text[19] != ' ') {
    return std::nullopt;
  }
  const auto month = std::ranges::find(kMonths, text.substr(4, 3));
  const auto day = Number<unsigned>(text[8] == ' ' ? text.substr(9, 1) : text.substr(8, 2));
  const auto hour = Number<unsigned>(text.substr(11, 2));
  const auto minute = Number<unsigned>(text.substr(14, 2));
  const auto second = Number<unsigned>(text.substr(17, 2));
  const auto year = Number<unsigned>(text.substr(20, 4));
  if (std::ranges::find(kDays, text.substr(0, 3)) == kDays.end() || month == kMonths.end()) return std::nullopt;
  if (!day || !hour || !minute || !second || !year || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
                                         std::chrono::day(*day)};
  if (!date.ok()) return std::nullopt;
  std::tm local{};
  local.tm_sec = static_cast<int>(*second);
  local.tm_min = static_cast<int>(*minute);
  local.tm_hour = static_cast<int>(*hour);
  local.tm_mday = static_cast<int>(*day);
  local.tm_mon = static_cast<int>(month - kMonths.begin());
  local.tm_year = static_cast<int>(*year) - 1900;
  return FromLocal(local);
}

}  // namespace

Result<void> ParseClamdPong(std::string_view reply) {
  if (OneLine(reply) != "PONG") return Refuse(reply);
  return {};
}

Result<ClamdVersion> ParseClamdVersion(std::string_view reply) {
  const auto line = OneLine(reply);
  std::string_view rest = line.value_or("");
  if (!TakePrefix(rest, "ClamAV ")) return Refuse(reply);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  ClamdVersion version{
      .text = std::string(*line), .engine = std::string(rest.substr(0, slash)), .daily = {}, .built_at = {}};
  if (version.engine.empty() || version.engine.find(' ') != std::string::npos) return Refuse(reply);
  if (slash == rest.size()) return version;
  rest.remove_prefix(slash + 1);
  const std::size_t second = std::min(rest.find('/'), rest.size());
  version.daily = Number<std::uint32_t>(rest.substr(0, second));
  version.built_at = second < rest.size() ? ParseCtime(rest.substr(second + 1)) : std::nullopt;
  if (!version.daily || !version.built_at) return Refuse(reply);
  return version;
}

Result<ClamdScanReply> ParseClamdScanReply(ClamdScanCommand command, std::string_view reply) {
  const auto line = OneLine(reply);
  if (!line) return Refuse(reply);
  if (command == ClamdScanCommand::kInstream && *line == "INSTREAM size limit exceeded. ERROR") {
    return ClamdScanReply{ClamdFinding::kLimitExceeded, "INSTREAM size limit exceeded"};
  }
  std::string_view rest = *line;
  const bool has_subject = TakeSubject(command, rest);
  if (has_subject && rest == "OK") return ClamdScanReply{ClamdFinding::kClean, {}};
  if (has_subject && TakeSuffix(rest, " FOUND") && IsWord(rest)) return Found(rest);
  if (TakeSuffix(rest, " ERROR") && IsWord(rest)) return ClamdScanReply{ClamdFinding::kError, std::string(rest)};
  return Refuse(reply);
}

}  // namespace lazaret::wire
