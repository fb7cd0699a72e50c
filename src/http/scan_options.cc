#include "http/scan_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "http/known_query.h"

namespace lazaret::http {
namespace {

Result<std::string> NameIn(const wire::Query& query) {
  const auto name = query.Find("name");
  if (!name) return std::unexpected(name.error());
  if (!*name) return "";
  if ((*name)->size() > kMaxNameBytes) {
    return Fail(Errc::kMalformed, fmt::format("a name has at most {} bytes", kMaxNameBytes));
  }
  return std::string(**name);
}

Result<int> StatusOr200(const wire::Query& query, std::string_view name) {
  const auto text = query.Find(name);
  if (!text) return std::unexpected(text.error());
  if (!*text) return 200;
  static constexpr std::array<std::pair<std::string_view, int>, 4> kStatuses = {
      {{"200", 200}, {"403", 403}, {"406", 406}, {"422", 422}}};
  const auto* const status = std::ranges::find(kStatuses, **text, &std::pair<std::string_view, int>::first);
  if (status == kStatuses.end()) return Fail(Errc::kMalformed, fmt::format("{} must be 200, 403, 406 or 422", name));
  return status->second;
}

}  // namespace

int ScanOptions::StatusFor(const Verdict& verdict) const {
  switch (verdict.kind()) {
    case VerdictKind::kClean: return 200;
    case VerdictKind::kInfected: return infected_status;
    case VerdictKind::kUnscannable: break;
  }
  return unscannable_status;
}

Result<ScanOptions> ParseScanOptions(std::string_view text) {
  static constexpr std::array<std::string_view, 3> kParameters = {"name", "on_infected", "on_unscannable"};
  if (text.empty()) return ScanOptions{};
  const auto query = ParseKnownQuery(text, kParameters);
  if (!query) return std::unexpected(query.error());
  auto name = NameIn(*query);
  if (!name) return std::unexpected(name.error());
  const auto infected = StatusOr200(*query, "on_infected");
  if (!infected) return std::unexpected(infected.error());
  const auto unscannable = StatusOr200(*query, "on_unscannable");
  if (!unscannable) return std::unexpected(unscannable.error());
  return ScanOptions{*infected, *unscannable, *std::move(name)};
}

Result<SubmitOptions> ParseSubmitOptions(std::string_view text) {
  static constexpr std::array<std::string_view, 2> kParameters = {"name", "callback"};
  const auto query = ParseKnownQuery(text, kParameters);
  if (!query) return std::unexpected(query.error());
  auto name = NameIn(*query);
  if (!name) return std::unexpected(name.error());
  const auto callback = query->Find("callback");
  if (!callback) return std::unexpected(callback.error());
  SubmitOptions options{*std::move(name), std::nullopt};
  if (*callback) options.callback = std::string(**callback);
  return options;
}

Result<milliseconds> ParseWait(std::string_view text, milliseconds most) {
  static constexpr std::array<std::string_view, 1> kParameters = {"wait"};
  const auto query = ParseKnownQuery(text, kParameters);
  if (!query) return std::unexpected(query.error());
  const auto wait = query->Find("wait");
  if (!wait) return std::unexpected(wait.error());
  if (!*wait) return milliseconds(0);
  double value = 0;
  const char* const end = (*wait)->data() + (*wait)->size();
  const auto [rest, failed] = std::from_chars((*wait)->data(), end, value, std::chars_format::fixed);
  if (failed != std::errc() || rest != end || !(value >= 0) || std::signbit(value) || std::isinf(value)) {
    return Fail(Errc::kMalformed, "wait must be a number of seconds, such as 30 or 0.5");
  }
  const double most_s = std::chrono::duration<double>(most).count();
  return std::chrono::ceil<milliseconds>(std::chrono::duration<double>(std::min(value, most_s)));
}

}  // namespace lazaret::http
