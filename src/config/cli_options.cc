#include "config/cli_options.h"

#include <algorithm>
#include <utility>

namespace lazaret::config {
namespace {

std::string UnknownOption(const CLI::App& app, const std::string& argument) {
  const std::string name = argument.substr(0, argument.find('='));
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_lnames().empty()) names.push_back("--" + option->get_lnames().front());
  }
  const std::string_view near = Nearest(name, {names.begin(), names.end()});
  std::string text = "unknown option " + name + "; the nearest is " + std::string(near);
  if (app.get_option_no_throw("--set") == nullptr) return text;
  // Settings without a flag of their own are often tried as one.
  std::string key = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  std::ranges::replace(key, '-', '_');
  const Field& field = NearestField(key);
  const std::string_view last = field.key.substr(field.key.rfind('.') + 1);
  if (field.flag.empty() && EditDistance(key, last) < EditDistance(name, near)) {
    text =
        "unknown option " + name + "; write --set " + std::string(field.key) + "=" + std::string(field.Placeholder());
  }
  return text;
}

}  // namespace

std::unexpected<Error> Misuse(const std::vector<std::string>& problems, std::string_view help) {
  std::string text;
  for (const std::string& problem : problems) text += "lazaret: " + problem + "\n";
  return Fail(Errc::kMalformed, text + "See: " + std::string(help) + "\n");
}

CLI::App* AddCommand(CLI::App& parent, const std::string& name) {
  CLI::App* app = parent.add_subcommand(name);
  app->set_help_flag();
  app->add_flag("-h,--help");
  app->allow_extras();
  return app;
}

bool Has(const CLI::App& app, const std::string& flag) { return app.get_option(flag)->count() > 0; }

std::string ValueOf(const CLI::App& app, const std::string& name) {
  const CLI::Option* const option = app.get_option(name);
  return option->count() > 0 ? option->results().back() : std::string();
}

std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  return *std::ranges::min_element(candidates, {}, [&](std::string_view c) { return EditDistance(word, c); });
}

std::vector<std::string> UnexpectedArguments(const CLI::App& app) {
  std::vector<std::string> problems;
  bool value_of_unknown = false;
  for (const std::string& argument : app.remaining()) {
    if (argument.starts_with('-') && argument != "--" && argument != "-") {
      problems.push_back(UnknownOption(app, argument));
      value_of_unknown = argument.find('=') == argument.npos;
    } else {
      if (!value_of_unknown && argument != "--") problems.push_back("unexpected argument " + argument);
      value_of_unknown = false;
    }
  }
  return problems;
}

SettingOptions::SettingOptions(CLI::App& app, SettingChoice choice) : app_(app) {
  const bool all = choice == SettingChoice::kAll;
  file_ = app.add_option("--config")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  if (all) set_ = app.add_option("--set")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  for (const Field& field : Fields()) {
    if (field.flag.empty() || (!all && field.key != "data")) continue;
    const std::string flag(field.flag);
    CLI::Option* option = field.kind == Kind::kSwitch ? app.add_flag(flag) : app.add_option(flag);
    fields_[option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)] = &field;
  }
}

std::expected<Loaded, Problems> SettingOptions::Load(const Surroundings& surroundings) const {
  return config::Load(surroundings, File(surroundings.environment), InOrder());
}

std::vector<std::string> SettingOptions::Mistakes() const {
  std::vector<std::string> problems;
  if (set_ == nullptr) return problems;
  for (const std::string& text : set_->results()) {
    if (text.find('=') == text.npos) problems.push_back("--set " + text + ": write --set KEY=VALUE");
  }
  return problems;
}

std::optional<std::filesystem::path> SettingOptions::File(const Environment& environment) const {
  if (file_->count() > 0) return file_->results().back();
  const auto found = environment.find(std::string(kFileVariable));
  if (found != environment.end() && !found->second.empty()) return found->second;
  return std::nullopt;
}

std::vector<Given> SettingOptions::InOrder() const {
  std::vector<Given> all;
  std::map<const CLI::Option*, std::size_t> taken;
  for (const CLI::Option* option : app_.parse_order()) {
    if (option == file_) continue;
    const auto field = fields_.find(option);
    if (option != set_ && field == fields_.end()) continue;
    const std::string value = option->results().at(taken[option]++);
    if (option == set_) {
      const std::string key = value.substr(0, value.find('='));
      if (key.size() == value.size()) continue;
      all.push_back(Given{key, {value.substr(key.size() + 1)}, "--set " + key, "--set " + key});
      continue;
    }
    const std::string flag(field->second->flag);
    const auto earlier = std::ranges::find(all, flag, &Given::origin);
    if (field->second->IsList() && earlier != all.end()) {
      earlier->values.push_back(value);
    } else {
      all.push_back(Given{std::string(field->second->key), {value}, flag, flag});
    }
  }
  return all;
}

}  // namespace lazaret::config
