#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "core/verdict.h"
#include "metrics/metrics.h"

namespace lazaret::metrics {

// Where the signatures of a server stand beside those in use.
struct SignatureFigures {
  struct Set {
    std::string digest;
    std::string label;
  };
  struct Refusal {
    std::string kind;  // "does-not-load"
    WallTime at;
  };
  std::optional<Set> previous;     // kept
  std::string loading;             // "probing": what is done with the next set; empty while there is none
  std::optional<Refusal> refused;  // the last one
};

// A server of the fleet.
struct NodeFigures {
  std::string id;
  std::string host;
  std::string role;
  EngineInfoPtr engine;  // null while it has none
};

struct SignatureSources {
  std::function<EngineInfoPtr()> engine;            // null while it cannot scan
  std::function<bool()> too_old;                    // whether those in use are older than they may be
  std::function<SignatureFigures()> figures;        // of a server that cares for its own signatures
  std::function<std::vector<NodeFigures>()> nodes;  // of a fleet
};

// Adds to `metrics`, as AddStandardGauges does, from the engine
//   lazaret_signature_set_info{set,label,engine}, lazaret_signatures, lazaret_signature_set_built_timestamp_seconds and
//   its twin clamav_db_timestamp_seconds, lazaret_signature_set_age_seconds,
//   lazaret_signature_set_loaded_timestamp_seconds, lazaret_signature_database_version{database},
//   lazaret_signature_database_built_timestamp_seconds{database}, clamav_db_version (of the daily database);
// and lazaret_signature_set_too_old, lazaret_signature_previous_info{set,label}, lazaret_signature_loading{phase},
// lazaret_signature_refused_timestamp_seconds{kind}, lazaret_node_signature_set_info{node,host,role,set,label},
// lazaret_node_signature_set_age_seconds{node,host}, lazaret_node_signature_set_loaded_timestamp_seconds{node,host}.
void AddSignatureGauges(Metrics& metrics, const SignatureSources& sources, const Clock& clock);

}  // namespace lazaret::metrics
