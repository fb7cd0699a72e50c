#include "config/signature_line.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/help.h"

namespace lazaret::config {
namespace {

using Action = Signatures::Action;

constexpr std::array<std::string_view, 4> kNames = {"status", "reload", "rollback", "check"};
constexpr std::array<Action, 4> kActions = {Action::kStatus, Action::kReload, Action::kRollback, Action::kCheck};

}  // namespace

SignatureLine::SignatureLine(CLI::App& parent) : line_(parent, "signatures", kNames) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    CLI::App& app = line_.app(i);
    if (kActions[i] == Action::kReload) app.add_flag("--force");
    if (kActions[i] == Action::kRollback) {
      app.add_option("--reason")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
    if (kActions[i] == Action::kCheck) {
      app.add_option("directory")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args();
    }
  }
}

Result<Command> SignatureLine::Read(const Surroundings& surroundings) const {
  const auto chosen = line_.Choose();
  if (!chosen) return std::unexpected(chosen.error());
  if (!*chosen) return Help{std::string(kSignaturesHelp)};
  const CLI::App& app = line_.app(**chosen);
  Signatures order{.action = kActions[**chosen], .json = Has(app, "--json")};
  std::vector<std::string> problems = UnexpectedArguments(app);
  if (order.action == Action::kReload) order.force = Has(app, "--force");
  if (order.action == Action::kRollback) order.reason = ValueOf(app, "--reason");
  if (order.action == Action::kCheck && problems.empty()) {
    const std::vector<std::string> directories = app.get_option("directory")->results();
    if (directories.empty()) problems.emplace_back("say which directory has the signatures");
    if (directories.size() > 1) problems.emplace_back("say one directory at a time");
    if (problems.empty()) order.directory = directories.front();
  }
  auto config = line_.Settings(**chosen, std::move(problems), surroundings);
  if (!config) return std::unexpected(std::move(config.error()));
  order.config = *std::move(config);
  return order;
}

}  // namespace lazaret::config
