#include "config/override_line.h"

#include <array>
#include <string_view>
#include <utility>

#include "base/digest.h"
#include "config/help.h"
#include "config/units.h"

namespace lazaret::config {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"add", "list", "remove"};
constexpr std::array<Overrides::Action, 3> kActions = {Overrides::Action::kAdd, Overrides::Action::kList,
                                                       Overrides::Action::kRemove};
constexpr std::string_view kWhichContent = "say which content: give its SHA-256 or a file";
constexpr std::uint64_t kLongest = milliseconds(std::chrono::days(3650)).count();

}  // namespace

std::optional<End> ParseEnd(std::string_view text) {
  if (const auto duration = ParseDuration(text)) {
    const auto count = static_cast<std::uint64_t>(duration->count());
    if (count == 0 || count > kLongest) return std::nullopt;
    return End{.after = *duration, .at = {}};
  }
  // What may be left out from the back.
  constexpr std::string_view kDay = "0000-00-00";
  constexpr std::string_view kRest = "T00:00:00.000";
  std::string_view given = text;
  const bool has_time = given.size() > kDay.size();
  if (has_time && !given.ends_with('Z')) return std::nullopt;
  if (has_time) given.remove_suffix(1);
  const std::size_t rest = given.size() < kDay.size() ? kRest.size() + 1 : given.size() - kDay.size();
  const bool is_whole = (rest == 0 && !has_time) || rest == std::string_view("T00:00").size() ||
                        rest == std::string_view("T00:00:00").size() || rest == kRest.size();
  if (!is_whole) return std::nullopt;
  const std::string full = std::string(given) + std::string(kRest.substr(rest)) + "Z";
  if (!ParseRfc3339(full)) return std::nullopt;
  return End{.after = {}, .at = full};
}

OverrideLine::OverrideLine(CLI::App& parent) : line_(parent, "override", kNames) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    CLI::App& app = line_.app(i);
    if (kActions[i] == Overrides::Action::kList) continue;
    app.add_option("content")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args();
    if (kActions[i] != Overrides::Action::kAdd) continue;
    for (const char* name : {"--reason", "--until", "--signature"}) {
      app.add_option(name)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
}

Result<Command> OverrideLine::Read(const Surroundings& surroundings) const {
  const auto chosen = line_.Choose();
  if (!chosen) return std::unexpected(chosen.error());
  if (!*chosen) return Help{std::string(kOverrideHelp)};
  const CLI::App& app = line_.app(**chosen);
  Overrides overrides{.action = kActions[**chosen], .json = Has(app, "--json")};
  std::vector<std::string> problems = UnexpectedArguments(app);
  const bool is_list = overrides.action == Overrides::Action::kList;
  if (!is_list && problems.empty()) {
    problems = overrides.action == Overrides::Action::kAdd ? ReadAdd(app, overrides) : ReadRemove(app, overrides);
  }
  auto data = line_.Data(**chosen, std::move(problems), surroundings);
  if (!data) return std::unexpected(std::move(data.error()));
  overrides.data = *std::move(data);
  return overrides;
}

std::vector<std::string> OverrideLine::ReadAdd(const CLI::App& app, Overrides& overrides) {
  std::vector<std::string> problems;
  const std::vector<std::string> words = app.get_option("content")->results();
  if (words.empty()) {
    problems.emplace_back(kWhichContent);
  } else if (words.size() != 2 || (words[1] != "clean" && words[1] != "infected")) {
    problems.emplace_back("say one content, then what it is: clean or infected");
  } else {
    overrides.contents = {words[0]};
    overrides.verdict = words[1];
  }
  overrides.reason = ValueOf(app, "--reason");
  if (overrides.reason.empty()) problems.emplace_back("--reason: say why; it is shown with every answer");
  overrides.signature = ValueOf(app, "--signature");
  if (!overrides.signature.empty() && overrides.verdict == "clean") {
    problems.emplace_back("--signature: only what is infected has one");
  }
  if (const std::string until = ValueOf(app, "--until"); !until.empty()) {
    overrides.end = ParseEnd(until);
    if (!overrides.end) {
      problems.push_back("--until: " + until +
                         " is neither a time in UTC such as 2026-11-30, 2026-11-30T18:00Z or 2026-11-30T18:00:00Z, nor "
                         "one from now such as 90m, 12h or 7d, ten years at most");
    }
  }
  return problems;
}

std::vector<std::string> OverrideLine::ReadRemove(const CLI::App& app, Overrides& overrides) {
  overrides.contents = app.get_option("content")->results();
  if (overrides.contents.empty()) return {std::string(kWhichContent)};
  return {};
}

}  // namespace lazaret::config
