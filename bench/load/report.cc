#include "load/report.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fstream>
#include <utility>

#include <fmt/format.h>

namespace lazaret::bench {
namespace {

namespace json = boost::json;

constexpr std::pair<const char*, double> kQuantiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}};

double Milliseconds(nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

json::object Describe(const Histogram& histogram) {
  json::object object{{"count", histogram.count()}, {"mean", Milliseconds(histogram.Mean())}};
  for (const auto& [name, share] : kQuantiles) object[name] = Milliseconds(histogram.Quantile(share));
  object["max"] = Milliseconds(histogram.max());
  return object;
}

std::uint64_t Answered(const Tally& tally) { return tally.service.count(); }

double PerSecond(double count, const Outcome& outcome) { return outcome.seconds > 0 ? count / outcome.seconds : 0; }

}  // namespace

std::string ToJson(const Plan& plan, const Outcome& outcome) {
  const Tally& tally = outcome.tally;
  json::object defects, allowed;
  for (const auto& [kind, count] : tally.defects) defects[kind] = count;
  for (const auto& [status, count] : tally.allowed_statuses) allowed[std::to_string(status)] = count;
  return json::serialize(json::object{{"connections", plan.connections},
                                      {"offered_rate", plan.rate ? json::value(*plan.rate) : json::value()},
                                      {"seconds", outcome.seconds},
                                      {"answers", Answered(tally)},
                                      {"rate", PerSecond(static_cast<double>(Answered(tally)), outcome)},
                                      {"sent_bytes", tally.sent_bytes},
                                      {"sent_mb_s", PerSecond(static_cast<double>(tally.sent_bytes) / 1e6, outcome)},
                                      {"latency_ms", Describe(tally.latency)},
                                      {"service_ms", Describe(tally.service)},
                                      {"allowed_ms", Describe(tally.allowed)},
                                      {"missed", tally.missed},
                                      {"retried", tally.retried},
                                      {"cpu_seconds", outcome.cpu_seconds},
                                      {"busy", outcome.busy},
                                      {"most_uploading", outcome.most_uploading},
                                      {"allowed", allowed},
                                      {"defects", defects}}) +
         "\n";
}

std::string ToText(const Plan& plan, const Outcome& outcome) {
  const Tally& tally = outcome.tally;
  std::string text =
      fmt::format("{} answers in {:.2f} s: {:.1f}/s, {:.1f} MB/s sent, {} connections\n", Answered(tally),
                  outcome.seconds, PerSecond(static_cast<double>(Answered(tally)), outcome),
                  PerSecond(static_cast<double>(tally.sent_bytes) / 1e6, outcome), plan.connections);
  const auto latencies = [&](const char* what, const Histogram& histogram) {
    fmt::format_to(std::back_inserter(text), "{} (ms):", what);
    for (const auto& [name, share] : kQuantiles) {
      fmt::format_to(std::back_inserter(text), " {} {:.3f},", name, Milliseconds(histogram.Quantile(share)));
    }
    fmt::format_to(std::back_inserter(text), " max {:.3f}\n", Milliseconds(histogram.max()));
  };
  latencies(plan.rate ? "latency from the intended beginning" : "latency", tally.latency);
  if (plan.rate) latencies("latency from the real beginning", tally.service);
  if (tally.missed != 0)
    fmt::format_to(std::back_inserter(text), "{} requests did not even begin in time\n", tally.missed);
  if (tally.retried != 0) {
    fmt::format_to(std::back_inserter(text), "{} requests sent again: their connections had ended\n", tally.retried);
  }
  fmt::format_to(std::back_inserter(text), "the busiest of our own threads computed {:.0f} % of the time\n",
                 outcome.busy * 100);
  for (const auto& [status, count] : tally.allowed_statuses) {
    fmt::format_to(std::back_inserter(text), "allowed: status {}: {}\n", status, count);
  }
  for (const auto& [kind, count] : tally.defects)
    fmt::format_to(std::back_inserter(text), "WRONG: {}: {}\n", kind, count);
  return text;
}

Result<void> WriteAnswers(const std::filesystem::path& path, const Tally& tally) {
  std::ofstream file(path);
  for (const auto& [name, verdict] : tally.answers) {
    if (name.find_first_of("\t\n") != name.npos)
      return Fail(Errc::kMalformed, "a file's name that is not for a table: " + name);
    file << name << '\t' << verdict.word << '\t' << verdict.detail << '\n';
  }
  file.flush();
  if (!file) return Fail(Errc::kInternal, "cannot write " + path.native());
  return {};
}

}  // namespace lazaret::bench
