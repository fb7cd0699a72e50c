#include "config/load.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "config/field.h"
#include "config/value.h"

namespace lazaret::config {
namespace {

constexpr std::string_view kPrefix = "LAZARET_";

void AppendTo(Problems& problems, Problems more) {
  problems.insert(problems.end(), std::move_iterator(more.begin()), std::move_iterator(more.end()));
}

TomlFile ReadFile(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  int failure = stream.is_open() ? 0 : errno;
  // A directory can be opened, but not read.
  std::error_code ignored;
  if (failure == 0 && std::filesystem::is_directory(path, ignored)) failure = EISDIR;
  if (failure != 0) {
    return TomlFile{{}, {path.string() + ": cannot be read: " + std::generic_category().message(failure)}};
  }
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  return ParseTomlFile(text, path.string());
}

TomlFile ReadEnvironment(const Environment& environment) {
  TomlFile result;
  for (const auto& [name, value] : environment) {
    if (!name.starts_with(kPrefix) || name == kFileVariable) continue;
    const auto field = std::ranges::find(Fields(), name, &Field::Variable);
    if (field != Fields().end()) {
      result.given.push_back(Given{std::string(field->key), {value}, name, name});
    } else {
      const Field& nearest = *std::ranges::min_element(
          Fields(), {}, [&](const Field& candidate) { return EditDistance(name, candidate.Variable()); });
      result.problems.push_back(name + ": no such setting; the nearest is " + nearest.Variable());
    }
  }
  return result;
}

Problems Contradictions(const Config& config) {
  Problems problems;
  const auto at_most = [&](std::string_view key, std::string_view limit_key, std::uint64_t value, std::uint64_t limit,
                           std::string_view why) {
    if (value <= limit) return;
    problems.push_back(std::string(key) + " (" + ShowValue(*FindField(key), config) + ") is more than " +
                       std::string(limit_key) + " (" + ShowValue(*FindField(limit_key), config) +
                       "): " + std::string(why));
  };
  at_most("content.max_size", "content.disk_budget", config.content.max_size, config.content.disk_budget,
          "the largest uploads would never be accepted");
  at_most("content.memory_file_size", "content.memory_budget", config.content.memory_file_size,
          config.content.memory_budget, "the largest contents for memory would never have room there");
  if (config.IsShared()) {
    at_most("redis.turn", "signatures.load_timeout", static_cast<std::uint64_t>(config.redis.turn.count()),
            static_cast<std::uint64_t>(config.signatures.load_timeout.count()),
            "without Redis the turn to load signatures would be waited for in vain");
  }
  if (config.engine.kind == EngineKind::kClamd && config.engine.clamd.empty()) {
    problems.push_back(
        "engine.kind is clamd, but engine.clamd names no server: add --clamd unix:PATH or tcp:HOST:PORT");
  }
  if (!config.IsShared() && config.role != Role::kAll) {
    problems.push_back("role is " + ShowValue(*FindField("role"), config) +
                       ", but redis.url is empty: work is shared through Redis only; add --redis URL");
  }
  if (!config.IsShared() && config.engine.kind == EngineKind::kWorkers) {
    problems.push_back(
        "engine.kind is workers, but redis.url is empty: they are reached through Redis; add --redis URL");
  }
  if (config.role == Role::kWorker && config.engine.kind == EngineKind::kWorkers) {
    problems.push_back("role is worker, but engine.kind is workers: a worker needs an engine of its own");
  }
  if (config.role == Role::kWorker && !config.clamd.listen.empty()) {
    problems.push_back("role is worker, but clamd.listen has addresses: a worker answers no clients");
  }
  return problems;
}

}  // namespace

Config DefaultConfig(const Surroundings& surroundings) {
  Config config;
  if (surroundings.root) return config;
  const auto absolute = [&](const char* name) -> std::filesystem::path {
    const auto found = surroundings.environment.find(name);
    // XDG Base Directory Specification: relative paths are to be ignored.
    if (found == surroundings.environment.end() || !found->second.starts_with('/')) return {};
    return found->second;
  };
  if (const auto state = absolute("XDG_STATE_HOME"); !state.empty()) {
    config.data = state / "lazaret";
  } else if (const auto home = absolute("HOME"); !home.empty()) {
    config.data = home / ".local/state/lazaret";
  } else {
    config.data.clear();
  }
  return config;
}

std::expected<Loaded, Problems> Load(const Surroundings& surroundings, const std::optional<std::filesystem::path>& file,
                                     const std::vector<Given>& flags) {
  Loaded loaded{DefaultConfig(surroundings), {}};
  Problems problems;
  const auto apply = [&](const std::vector<Given>& all) {
    for (const Given& given : all) {
      const Field* field = FindField(given.key);
      if (field == nullptr) {
        problems.push_back(given.subject + ": " + UnknownKey(given.key));
      } else if (auto set = SetField(*field, given.values, loaded.config); !set) {
        problems.push_back(given.subject + ": " + set.error());
      } else {
        loaded.origins[given.key] = given.origin;
      }
    }
  };
  const auto take = [&](TomlFile source) {
    AppendTo(problems, std::move(source.problems));
    apply(source.given);
  };
  if (file) take(ReadFile(*file));
  take(ReadEnvironment(surroundings.environment));
  apply(flags);

  if (!problems.empty()) return std::unexpected(std::move(problems));
  problems = Contradictions(loaded.config);
  if (loaded.config.data.empty()) {
    problems.push_back("data: there is no home directory to put it in: set it, for example --data /var/tmp/lazaret");
  }
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return loaded;
}

}  // namespace lazaret::config
