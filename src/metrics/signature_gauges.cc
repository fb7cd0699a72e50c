#include "metrics/signature_gauges.h"

#include <algorithm>
#include <limits>

#include "core/signature_age.h"

namespace lazaret::metrics {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double Seconds(milliseconds duration) { return std::chrono::duration<double>(duration).count(); }
double Timestamp(const std::optional<WallTime>& time) { return time ? Seconds(time->time_since_epoch()) : kNone; }

double Age(const EngineInfo& engine, const Clock& clock) {
  const auto age = AgeOf(engine, clock.Now());
  return age ? Seconds(*age) : kNone;
}

double DailyVersion(const EngineInfo& info) {
  const auto daily = std::ranges::find(info.databases, "daily", &DatabaseVersion::name);
  return daily == info.databases.end() ? kNone : static_cast<double>(daily->version);
}

void AddEngineGauges(Metrics& metrics, const std::function<EngineInfoPtr()>& engine, const Clock& clock) {
  const auto add = [&](std::string_view name, std::string_view help, std::function<double(const EngineInfo&)> value) {
    metrics.AddGauge(name, help, {}, [engine, value = std::move(value)] {
      const EngineInfoPtr info = engine();
      return info == nullptr ? kNone : value(*info);
    });
  };
  const auto built = [](const EngineInfo& info) { return Timestamp(info.built_at); };
  add("lazaret_signatures", "Signatures in use.",
      [](const EngineInfo& info) { return static_cast<double>(info.signatures); });
  add("lazaret_signature_set_built_timestamp_seconds", "When the newest database in use was built.", built);
  add("clamav_db_timestamp_seconds", "When the newest database in use was built.", built);
  add("lazaret_signature_set_age_seconds",
      "Time since the newest database in use was built, or, where none says when, since the newest file was written.",
      [&clock](const EngineInfo& info) { return Age(info, clock); });
  add("lazaret_signature_set_loaded_timestamp_seconds", "Since when they are in use.",
      [](const EngineInfo& info) { return Timestamp(info.loaded_at); });
  add("clamav_db_version", "Version of the daily database in use.", DailyVersion);
  metrics.AddGauge("lazaret_signature_set_info", "The signature set in use.", [engine]() -> std::vector<Sample> {
    const EngineInfoPtr info = engine();
    if (info == nullptr) return {};
    return {Sample{{{"set", info->signature_set.Hex()},
                    {"label", info->signature_label},
                    {"engine", info->name + " " + info->version}},
                   1}};
  });
  const auto each = [&](std::string_view name, std::string_view help, double (*value)(const DatabaseVersion&)) {
    metrics.AddGauge(name, help, [engine, value] {
      std::vector<Sample> samples;
      const EngineInfoPtr info = engine();
      if (info == nullptr) return samples;
      for (const DatabaseVersion& one : info->databases) samples.push_back({{{"database", one.name}}, value(one)});
      return samples;
    });
  };
  each("lazaret_signature_database_version", "Versions of the databases in use that have one.",
       [](const DatabaseVersion& one) { return static_cast<double>(one.version); });
  each("lazaret_signature_database_built_timestamp_seconds", "When they were built.",
       [](const DatabaseVersion& one) { return Timestamp(one.built_at); });
}

void AddFigures(Metrics& metrics, const std::function<SignatureFigures()>& figures) {
  metrics.AddGauge("lazaret_signature_previous_info", "The signature set that a rollback goes back to.",
                   [figures]() -> std::vector<Sample> {
                     const auto previous = figures().previous;
                     if (!previous) return {};
                     return {Sample{{{"set", previous->digest}, {"label", previous->label}}, 1}};
                   });
  metrics.AddGauge("lazaret_signature_loading", "What is done with the next signature set, while there is one.",
                   [figures]() -> std::vector<Sample> {
                     const std::string phase = figures().loading;
                     if (phase.empty()) return {};
                     return {Sample{{{"phase", phase}}, 1}};
                   });
  metrics.AddGauge("lazaret_signature_refused_timestamp_seconds", "When a signature set was refused last, and why.",
                   [figures]() -> std::vector<Sample> {
                     const auto refused = figures().refused;
                     if (!refused) return {};
                     return {Sample{{{"kind", refused->kind}}, Timestamp(refused->at)}};
                   });
}

void AddNodes(Metrics& metrics, const std::function<std::vector<NodeFigures>()>& nodes, const Clock& clock) {
  const auto each = [&](std::string_view name, std::string_view help, std::function<Sample(const NodeFigures&)> show) {
    metrics.AddGauge(name, help, [nodes, show = std::move(show)] {
      std::vector<Sample> samples;
      for (const NodeFigures& node : nodes()) {
        if (node.engine != nullptr) samples.push_back(show(node));
      }
      return samples;
    });
  };
  each("lazaret_node_signature_set_info", "The signature sets of the servers that share the Redis.",
       [](const NodeFigures& node) {
         return Sample{{{"node", node.id},
                        {"host", node.host},
                        {"role", node.role},
                        {"set", node.engine->signature_set.Hex()},
                        {"label", node.engine->signature_label}},
                       1};
       });
  each("lazaret_node_signature_set_age_seconds", "How old they are.", [&clock](const NodeFigures& node) {
    return Sample{{{"node", node.id}, {"host", node.host}}, Age(*node.engine, clock)};
  });
  each("lazaret_node_signature_set_loaded_timestamp_seconds", "Since when those servers use them.",
       [](const NodeFigures& node) {
         return Sample{{{"node", node.id}, {"host", node.host}}, Timestamp(node.engine->loaded_at)};
       });
}

}  // namespace

void AddSignatureGauges(Metrics& metrics, const SignatureSources& sources, const Clock& clock) {
  if (sources.engine) AddEngineGauges(metrics, sources.engine, clock);
  if (sources.too_old) {
    metrics.AddGauge("lazaret_signature_set_too_old", "1 while those in use are older than signatures.max_age.", {},
                     [too_old = sources.too_old] { return too_old() ? 1.0 : 0.0; });
  }
  if (sources.figures) AddFigures(metrics, sources.figures);
  if (sources.nodes) AddNodes(metrics, sources.nodes, clock);
}

}  // namespace lazaret::metrics
