#include "config/jobs_line.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "config/help.h"
#include "config/units.h"

namespace lazaret::config {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"list", "show", "retry", "drop"};
constexpr std::array<Jobs::Action, 4> kActions = {Jobs::Action::kList, Jobs::Action::kShow, Jobs::Action::kRetry,
                                                  Jobs::Action::kDrop};
constexpr std::array<std::string_view, 4> kStates = {"queued", "scanning", "done", "dead"};
constexpr std::uint64_t kMostListed = 10'000;
constexpr std::size_t kLeastDigits = 8;
constexpr std::size_t kMostDigits = 64;

bool IsId(std::string_view text) {
  return text.size() >= kLeastDigits && text.size() <= kMostDigits &&
         text.find_first_not_of("0123456789abcdef") == text.npos;
}

}  // namespace

JobsLine::JobsLine(CLI::App& parent) : line_(parent, "jobs", kNames) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    CLI::App& app = line_.app(i);
    if (kActions[i] == Jobs::Action::kList) {
      app.add_option("--state")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
      app.add_option("--limit")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    } else {
      app.add_option("id")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args();
    }
  }
}

Result<Command> JobsLine::Read(const Surroundings& surroundings) const {
  const auto chosen = line_.Choose();
  if (!chosen) return std::unexpected(chosen.error());
  if (!*chosen) return Help{std::string(kJobsHelp)};
  Jobs jobs{.action = kActions[**chosen]};
  std::vector<std::string> problems = ReadOptions(line_.app(**chosen), jobs);
  auto data = line_.Data(**chosen, std::move(problems), surroundings);
  if (!data) return std::unexpected(std::move(data.error()));
  jobs.data = *std::move(data);
  return jobs;
}

std::vector<std::string> JobsLine::ReadOptions(const CLI::App& app, Jobs& jobs) {
  std::vector<std::string> problems = UnexpectedArguments(app);
  jobs.json = Has(app, "--json");
  if (jobs.action == Jobs::Action::kList) {
    if (Has(app, "--state")) {
      jobs.state = app.get_option("--state")->results().back();
      if (std::ranges::find(kStates, jobs.state) == kStates.end()) {
        problems.push_back("--state: there is no state " + jobs.state + "; the nearest is " +
                           std::string(Nearest(jobs.state, {kStates.begin(), kStates.end()})));
      }
    }
    if (Has(app, "--limit")) {
      const std::string text = app.get_option("--limit")->results().back();
      const auto limit = ParseCount(text);
      jobs.limit = limit.value_or(0);
      if (jobs.limit < 1 || jobs.limit > kMostListed) {
        problems.push_back("--limit: " + text + " is not a number from 1 to " + std::to_string(kMostListed));
      }
    }
    return problems;
  }
  jobs.ids = app.get_option("id")->results();
  if (jobs.ids.empty() && problems.empty()) problems.push_back("say which job: give its id, or its first 8 digits");
  for (const std::string& id : jobs.ids) {
    if (!IsId(id)) problems.push_back(id + " is no id: 8 to 64 lower-case hexadecimal digits");
  }
  return problems;
}

}  // namespace lazaret::config
