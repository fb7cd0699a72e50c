#include <cstdio>
#include <exception>

#include <fmt/format.h>

#include "load/load_run.h"
#include "load/plan.h"
#include "load/report.h"

namespace lazaret::bench {
namespace {

int Main(int argc, char** argv) {
  const auto plan = ReadPlan(argc, argv);
  if (!plan) return plan.error();
  const Outcome outcome = Run(*plan);
  fmt::print("{}", plan->json ? ToJson(*plan, outcome) : ToText(*plan, outcome));
  if (!plan->answers.empty()) {
    if (auto written = WriteAnswers(plan->answers, outcome.tally); !written) {
      fmt::print(stderr, "lazaret_load: {}\n", written.error().what);
      return 1;
    }
  }
  return outcome.tally.defects.empty() ? 0 : 1;
}

}  // namespace
}  // namespace lazaret::bench

int main(int argc, char** argv) {
  try {
    return lazaret::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "lazaret_load: {}\n", error.what());
    return 1;
  }
}
