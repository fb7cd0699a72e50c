#include "config/jobs_line.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "config/describe.h"
#include "config/help.h"
#include "config/units.h"

namespace lazaret::config {
namespace {

constexpr std::string_view kSeeHelp = "lazaret jobs --help";
constexpr std::array<std::pair<std::string_view, Jobs::Action>, 4> kActions = {{{"list", Jobs::Action::kList},
                                                                                {"show", Jobs::Action::kShow},
                                                                                {"retry", Jobs::Action::kRetry},
                                                                                {"drop", Jobs::Action::kDrop}}};
constexpr std::array<std::string_view, 4> kStates = {"queued", "scanning", "done", "dead"};
constexpr std::uint64_t kMostListed = 10'000;
constexpr std::size_t kLeastDigits = 8;
constexpr std::size_t kMostDigits = 64;

bool IsId(std::string_view text) {
  return text.size() >= kLeastDigits && text.size() <= kMostDigits &&
         text.find_first_not_of("0123456789abcdef") == text.npos;
}

}  // namespace

JobsLine::JobsLine(CLI::App& parent) : jobs_(AddCommand(parent, "jobs")) {
  jobs_->require_subcommand(0, 1);
  for (const auto& [name, action] : kActions) {
    CLI::App* const app = AddCommand(*jobs_, std::string(name));
    app->add_flag("--json");
    if (action == Jobs::Action::kList) {
      app->add_option("--state")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
      app->add_option("--limit")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    } else {
      app->add_option("id")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args();
    }
    actions_.push_back({action, app, std::make_unique<SettingOptions>(*app, SettingChoice::kDataOnly)});
  }
}

Result<Command> JobsLine::Read(const Surroundings& surroundings) const {
  const auto chosen = std::ranges::find_if(actions_, [](const Action& action) { return action.app->parsed(); });
  if (Has(*jobs_, "--help") || (chosen != actions_.end() && Has(*chosen->app, "--help"))) {
    return Help{std::string(kJobsHelp)};
  }
  if (chosen == actions_.end()) {
    const std::vector<std::string> rest = jobs_->remaining();
    if (rest.empty() || rest.front().starts_with('-')) {
      return Misuse({"say what to do: jobs list, jobs show, jobs retry or jobs drop"}, kSeeHelp);
    }
    const std::string_view near = Nearest(rest.front(), {"list", "show", "retry", "drop"});
    return Misuse({"unknown command jobs " + rest.front() + "; the nearest is " + std::string(near)}, kSeeHelp);
  }
  Jobs jobs{.action = chosen->action};
  std::vector<std::string> problems = ReadOptions(*chosen, jobs);
  auto loaded = chosen->settings->Load(surroundings);
  if (!problems.empty()) {
    if (!loaded) std::ranges::copy(loaded.error(), std::back_inserter(problems));
    return Misuse(problems, kSeeHelp);
  }
  if (!loaded) return Fail(Errc::kMalformed, ProblemsText(loaded.error()) + "See: " + std::string(kSeeHelp) + "\n");
  jobs.data = std::move(loaded->config.data);
  return jobs;
}

std::vector<std::string> JobsLine::ReadOptions(const Action& action, Jobs& jobs) const {
  std::vector<std::string> problems = UnexpectedArguments(*action.app);
  jobs.json = Has(*action.app, "--json");
  if (action.action == Jobs::Action::kList) {
    if (Has(*action.app, "--state")) {
      jobs.state = action.app->get_option("--state")->results().back();
      if (std::ranges::find(kStates, jobs.state) == kStates.end()) {
        problems.push_back("--state: there is no state " + jobs.state + "; the nearest is " +
                           std::string(Nearest(jobs.state, {kStates.begin(), kStates.end()})));
      }
    }
    if (Has(*action.app, "--limit")) {
      const std::string text = action.app->get_option("--limit")->results().back();
      const auto limit = ParseCount(text);
      jobs.limit = limit.value_or(0);
      if (jobs.limit < 1 || jobs.limit > kMostListed) {
        problems.push_back("--limit: " + text + " is not a number from 1 to " + std::to_string(kMostListed));
      }
    }
    return problems;
  }
  jobs.ids = action.app->get_option("id")->results();
  if (jobs.ids.empty() && problems.empty()) problems.push_back("say which job: give its id, or its first 8 digits");
  for (const std::string& id : jobs.ids) {
    if (!IsId(id)) problems.push_back(id + " is no id: 8 to 64 lower-case hexadecimal digits");
  }
  return problems;
}

}  // namespace lazaret::config
