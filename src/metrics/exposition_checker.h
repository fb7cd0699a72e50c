#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lazaret::metrics {

// A page in Prometheus' text format 0.0.4, read strictly.
struct Exposition {
  std::vector<std::string> problems;
  std::map<std::string, double> series;      // by "name{label=\"value\",...}" as it stands in the page
  std::map<std::string, std::string> types;  // by metric name
};

// Demands what the format demands and what well-behaved exporters do: one HELP and one TYPE before each family, whose
// lines stay together; legal names, escapes and numbers; no series twice; complete, cumulative histograms; counters
// that end in _total.
Exposition ReadExposition(std::string_view page);

}  // namespace lazaret::metrics
