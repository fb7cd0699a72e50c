#include "wire/clamd_answer.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include <fmt/format.h>

namespace lazaret::wire {
namespace {

constexpr std::size_t kMaxErrorText = 400;

double MiB(std::uint64_t bytes) { return static_cast<double>(bytes) / (1024 * 1024); }

}  // namespace

std::string ClamdAnswer::Line(std::string text) const {
  if (terminator_ == '\n') std::ranges::replace(text, '\n', '?');
  return Plain(text);
}

std::string ClamdAnswer::Plain(std::string_view text) const {
  return id_ == 0 ? fmt::format("{}{}", text, terminator_) : fmt::format("{}: {}{}", id_, text, terminator_);
}

std::string ClamdAnswer::Ok(std::string_view subject) const { return Line(fmt::format("{}: OK", subject)); }

std::string ClamdAnswer::Found(std::string_view subject, std::string_view signature) const {
  return Line(fmt::format("{}: {} FOUND", subject, signature));
}

std::string ClamdAnswer::Error(std::string_view subject, std::string_view text) const {
  std::string clean(text.substr(0, kMaxErrorText));
  std::ranges::replace_if(clean, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return Line(fmt::format("{}: {} ERROR", subject, clean));
}

std::string ClamdAnswer::Failure(std::string_view text) const { return Line(fmt::format("{} ERROR", text)); }

std::string FormatClamdVersion(std::string_view engine_version, const std::optional<ClamdDailyVersion>& daily) {
  if (!daily) return fmt::format("ClamAV {}", engine_version);
  const std::time_t time = std::chrono::system_clock::to_time_t(daily->built_at);
  std::tm local{};
  ::localtime_r(&time, &local);
  // asctime(3), which is not for threads; names are English whatever the locale.
  static constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
  static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  return fmt::format("ClamAV {}/{}/{} {} {:2} {:02}:{:02}:{:02} {}", engine_version, daily->version,
                     kDays.substr(static_cast<std::size_t>(local.tm_wday) * 3, 3),
                     kMonths.substr(static_cast<std::size_t>(local.tm_mon) * 3, 3), local.tm_mday, local.tm_hour,
                     local.tm_min, local.tm_sec, local.tm_year + 1900);
}

std::string ClamdVersionCommands(std::string_view version) {
  return fmt::format(
      "{}| COMMANDS: SCAN QUIT RELOAD PING CONTSCAN VERSIONCOMMANDS VERSION END SHUTDOWN MULTISCAN FILDES STATS "
      "IDSESSION INSTREAM DETSTATSCLEAR DETSTATS ALLMATCHSCAN",
      version);
}

std::string FormatClamdStats(const ClamdStats& stats) {
  return fmt::format(
      "POOLS: 1\n\nSTATE: {} PRIMARY\nTHREADS: live {}  idle {} max {} idle-timeout {}\nQUEUE: {} items\n"
      "\tSTATS 0.000000 \n\nMEMSTATS: heap N/A mmap N/A used N/A free N/A releasable N/A pools 1 pools_used {:.3f}M "
      "pools_total {:.3f}M\nEND",
      stats.ready ? "VALID" : "INVALID", stats.threads_live, stats.threads_idle, stats.threads_max,
      stats.idle_timeout_s, stats.queued, MiB(stats.memory_used), MiB(stats.memory_total));
}

}  // namespace lazaret::wire
