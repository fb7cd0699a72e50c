#include "config/action_line.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "config/describe.h"

namespace lazaret::config {

ActionLine::ActionLine(CLI::App& parent, std::string name, std::span<const std::string_view> actions)
    : name_(std::move(name)), app_(AddCommand(parent, name_)) {
  app_->require_subcommand(0, 1);
  for (const std::string_view action : actions) {
    CLI::App* const app = AddCommand(*app_, std::string(action));
    app->add_flag("--json");
    actions_.push_back({std::string(action), app, std::make_unique<SettingOptions>(*app, SettingChoice::kDataOnly)});
  }
}

Result<std::optional<std::size_t>> ActionLine::Choose() const {
  const auto chosen = std::ranges::find_if(actions_, [](const Action& action) { return action.app->parsed(); });
  if (Has(*app_, "--help") || (chosen != actions_.end() && Has(*chosen->app, "--help"))) return std::nullopt;
  if (chosen != actions_.end()) return static_cast<std::size_t>(chosen - actions_.begin());
  const std::vector<std::string> rest = app_->remaining();
  if (rest.empty() || rest.front().starts_with('-')) {
    std::string all;
    for (const Action& action : actions_) {
      all += all.empty() ? "" : &action == &actions_.back() ? " or " : ", ";
      all += name_ + " " + action.name;
    }
    return Misuse({"say what to do: " + all}, see_help());
  }
  std::vector<std::string_view> names;
  for (const Action& action : actions_) names.push_back(action.name);
  return Misuse({"unknown command " + name_ + " " + rest.front() + "; the nearest is " +
                 std::string(Nearest(rest.front(), names))},
                see_help());
}

Result<Config> ActionLine::Settings(std::size_t action, std::vector<std::string> problems,
                                    const Surroundings& surroundings) const {
  auto loaded = actions_[action].settings->Load(surroundings);
  if (!problems.empty()) {
    if (!loaded) std::ranges::copy(loaded.error(), std::back_inserter(problems));
    return Misuse(problems, see_help());
  }
  if (!loaded) return Fail(Errc::kMalformed, ProblemsText(loaded.error()) + "See: " + see_help() + "\n");
  return std::move(loaded->config);
}

Result<std::filesystem::path> ActionLine::Data(std::size_t action, std::vector<std::string> problems,
                                               const Surroundings& surroundings) const {
  auto config = Settings(action, std::move(problems), surroundings);
  if (!config) return std::unexpected(std::move(config.error()));
  return std::move(config->data);
}

}  // namespace lazaret::config
