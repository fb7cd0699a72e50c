#include "metrics/metrics.h"

#include <prometheus/check_names.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>

namespace lazaret::metrics {
namespace {

using prometheus::Counter;
using prometheus::Histogram;
using CounterFamily = prometheus::Family<Counter>;
using HistogramFamily = prometheus::Family<Histogram>;

constexpr std::string_view kOther = "other";
constexpr std::string_view kScanDuration = "lazaret_scan_duration_seconds";
// The name under which existing dashboards look for the same histogram.
constexpr std::string_view kScanDurationAlias = "clamav_scan_duration_seconds";

constexpr int kFirstStatus = 100;
constexpr int kLastStatus = 599;
// What the API can answer with; others appear when they are first sent.
constexpr std::array kKnownStatuses = {200, 202, 400, 403, 404, 405, 406, 408, 411, 413, 414,
                                       415, 417, 422, 429, 431, 500, 501, 503, 504, 505};

constexpr std::array kReasons = {Reason::kEncrypted,     Reason::kLimitExceeded,  Reason::kTimeout,
                                 Reason::kUnsupported,   Reason::kTemporarySpace, Reason::kEngineError,
                                 Reason::kEngineCrashed, Reason::kContentLost,    Reason::kOverridden};
constexpr std::array<std::pair<CacheResult, const char*>, 4> kCacheResults = {{{CacheResult::kHit, "hit"},
                                                                               {CacheResult::kMiss, "miss"},
                                                                               {CacheResult::kStale, "stale"},
                                                                               {CacheResult::kError, "error"}}};
constexpr std::array<std::pair<ScannerEnd, const char*>, 5> kScannerEnds = {{{ScannerEnd::kRecycled, "recycled"},
                                                                             {ScannerEnd::kCrashed, "crashed"},
                                                                             {ScannerEnd::kDeadline, "deadline"},
                                                                             {ScannerEnd::kCancelled, "cancelled"},
                                                                             {ScannerEnd::kShutdown, "shutdown"}}};
constexpr std::array<std::pair<SignatureEvent, const char*>, 4> kSignatureEvents = {
    {{SignatureEvent::kLoaded, "loaded"},
     {SignatureEvent::kRefused, "refused"},
     {SignatureEvent::kRolledBack, "rolled-back"},
     {SignatureEvent::kDetectionsJumped, "detections-jumped"}}};
constexpr std::array<std::pair<JobEvent, const char*>, 6> kJobEvents = {{{JobEvent::kQueued, "queued"},
                                                                         {JobEvent::kAttached, "attached"},
                                                                         {JobEvent::kDone, "done"},
                                                                         {JobEvent::kDead, "dead"},
                                                                         {JobEvent::kRetried, "retried"},
                                                                         {JobEvent::kLost, "lost"}}};
constexpr std::array<std::pair<DeliveryEvent, const char*>, 3> kDeliveryEvents = {
    {{DeliveryEvent::kDelivered, "delivered"},
     {DeliveryEvent::kFailed, "failed"},
     {DeliveryEvent::kGivenUp, "given-up"}}};

// Seconds; from a cached answer to the longest scan.
Histogram::BucketBoundaries Durations() {
  return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};
}

CounterFamily& Counters(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

HistogramFamily& Histograms(prometheus::Registry& registry, std::string_view name, const char* help) {
  return prometheus::BuildHistogram().Name(std::string(name)).Help(help).Register(registry);
}

// Strangers' bytes may stand in a label, such as a database's file name; one that is not UTF-8 spoils the whole page.
std::string Printable(std::string text) {
  std::ranges::replace_if(text, [](unsigned char c) { return c < ' ' || c >= 0x7F; }, '?');
  return text;
}

}  // namespace

struct Metrics::Series {
  // A route's counters are made at its first answer with a status and found without a lock from then on.
  struct Route {
    Route(Series& all, std::string_view n)
        : name(n), family(all.requests), duration(all.request_duration.Add({{"route", name}}, Durations())) {
      for (const int status : kKnownStatuses) Count(status, 0);
    }
    void Count(int status, double by) {
      const bool known = status >= kFirstStatus && status <= kLastStatus;
      // The last place is for numbers that are no status.
      auto& place = counters[known ? static_cast<std::size_t>(status - kFirstStatus) : counters.size() - 1];
      Counter* counter = place.load(std::memory_order_acquire);
      if (counter == nullptr) {
        // Two threads get the same counter: Add looks for the labels first.
        counter = &family.Add({{"route", name}, {"status", known ? std::to_string(status) : std::string(kOther)}});
        place.store(counter, std::memory_order_release);
      }
      counter->Increment(by);
    }

    std::string name;
    CounterFamily& family;
    Histogram& duration;
    std::array<std::atomic<Counter*>, kLastStatus - kFirstStatus + 2> counters{};
  };

  explicit Series(const Names& names) {
    for (const std::string_view name : names.routes) routes.push_back(std::make_unique<Route>(*this, name));
    routes.push_back(std::make_unique<Route>(*this, kOther));
    for (const std::string_view why : names.refusals) refusals.emplace_back(why, RefusedCounter(why));
    refusals.emplace_back(kOther, RefusedCounter(kOther));
    for (const bool cached : {false, true}) {
      AddVerdict(VerdictKind::kClean, Reason::kNone, cached);
      AddVerdict(VerdictKind::kInfected, Reason::kNone, cached);
      for (const Reason reason : kReasons) AddVerdict(VerdictKind::kUnscannable, reason, cached);
    }
    for (const VerdictKind kind : {VerdictKind::kClean, VerdictKind::kInfected, VerdictKind::kUnscannable}) {
      const std::string name(ToString(kind));
      rescans.at(static_cast<std::size_t>(kind)) = &rescan_family.Add({{"verdict", name}});
      if (kind == VerdictKind::kUnscannable) continue;
      overridden.at(static_cast<std::size_t>(kind)) = &override_family.Add({{"verdict", name}});
    }
    for (const auto& [result, name] : kCacheResults) {
      lookups[static_cast<std::size_t>(result)] = &lookup_family.Add({{"result", name}});
    }
    for (const auto& [end, name] : kScannerEnds) {
      ends[static_cast<std::size_t>(end)] = &end_family.Add({{"cause", name}});
    }
    for (const auto& [event, name] : kSignatureEvents) {
      signatures[static_cast<std::size_t>(event)] = &signature_family.Add({{"event", name}});
    }
    for (const auto& [event, name] : kJobEvents) {
      jobs[static_cast<std::size_t>(event)] = &job_family.Add({{"event", name}});
    }
    for (const auto& [event, name] : kDeliveryEvents) {
      deliveries[static_cast<std::size_t>(event)] = &delivery_family.Add({{"result", name}});
    }
  }

  Counter* RefusedCounter(std::string_view why) { return &refused_family.Add({{"why", std::string(why)}}); }
  void AddVerdict(VerdictKind kind, Reason reason, bool cached) {
    VerdictPlace(kind, reason, cached) = &verdict_family.Add({{"verdict", std::string(ToString(kind))},
                                                              {"reason", std::string(ToString(reason))},
                                                              {"cached", cached ? "true" : "false"}});
  }
  Counter*& VerdictPlace(VerdictKind kind, Reason reason, bool cached) {
    return verdicts.at(static_cast<std::size_t>(kind)).at(static_cast<std::size_t>(reason)).at(cached ? 1 : 0);
  }

  prometheus::Registry registry;
  CounterFamily& requests = Counters(registry, "lazaret_http_requests_total", "Requests answered.");
  HistogramFamily& request_duration = Histograms(registry, "lazaret_http_request_duration_seconds",
                                                 "From a request's first byte to its answer's last.");
  CounterFamily& verdict_family =
      Counters(registry, "lazaret_verdicts_total", "Verdicts given; reason says why a content is unscannable.");
  CounterFamily& lookup_family =
      Counters(registry, "lazaret_cache_lookups_total", "Look-ups in the verdict cache; stale: by older signatures.");
  CounterFamily& override_family =
      Counters(registry, "lazaret_override_answers_total", "Answers that an override gave in place of a verdict.");
  Counter& stale_served = Counters(registry, "lazaret_stale_answers_total",
                                   "Clean verdicts of earlier signatures that answered while the content was scanned "
                                   "again.")
                              .Add({});
  CounterFamily& rescan_family =
      Counters(registry, "lazaret_rescans_total", "What contents were that had been answered by an earlier verdict.");
  Counter& cache_write_failures =
      Counters(registry, "lazaret_cache_write_failures_total", "Verdicts that the cache could not store.").Add({});
  Histogram& scan_duration = Histograms(registry, kScanDuration, "Time of a scan in the engine.").Add({}, Durations());
  Counter& scanned_bytes = Counters(registry, "lazaret_scanned_bytes_total", "Bytes of scanned contents.").Add({});
  Counter& coalesced = Counters(registry, "lazaret_coalesced_requests_total",
                                "Requests that waited for a running scan of the same content.")
                           .Add({});
  Counter& gave_way = Counters(registry, "lazaret_scans_given_way_total",
                               "Scans of small contents that took long and were stopped, to be started again later, so "
                               "that short ones could go.")
                          .Add({});
  CounterFamily& refused_family =
      Counters(registry, "lazaret_refused_requests_total", "Requests refused because a limit was reached.");
  Histogram& spool_duration =
      Histograms(registry, "lazaret_spool_duration_seconds", "From the first to the last byte of an upload.")
          .Add({}, Durations());
  Counter& spooled_bytes = Counters(registry, "lazaret_spooled_bytes_total", "Bytes uploaded.").Add({});
  Counter& scanners_started =
      Counters(registry, "lazaret_scanners_started_total", "Scanner processes started.").Add({});
  CounterFamily& end_family = Counters(registry, "lazaret_scanners_ended_total", "Scanner processes that ended.");
  Counter& zygote_restarts =
      Counters(registry, "lazaret_zygote_restarts_total", "Zygotes started again after one ended by itself.").Add({});
  CounterFamily& signature_family =
      Counters(registry, "lazaret_signature_changes_total", "What became of changes of the signatures.");
  CounterFamily& job_family =
      Counters(registry, "lazaret_jobs_total",
               "What became of submits and jobs; lost: begun again after a worker had vanished with it.");
  CounterFamily& delivery_family = Counters(registry, "lazaret_callbacks_total", "Attempts to call back.");

  std::vector<std::unique_ptr<Route>> routes;  // the last one is "other"
  std::vector<std::pair<std::string, Counter*>> refusals;
  std::array<std::array<std::array<Counter*, 2>, kReasons.size() + 1>, 4> verdicts{};
  std::array<Counter*, 4> overridden{};
  std::array<Counter*, 4> rescans{};
  std::array<Counter*, kCacheResults.size()> lookups{};
  std::array<Counter*, kScannerEnds.size()> ends{};
  std::array<Counter*, kSignatureEvents.size()> signatures{};
  std::array<Counter*, kJobEvents.size()> jobs{};
  std::array<Counter*, kDeliveryEvents.size()> deliveries{};
};

struct Metrics::Gauges {
  struct Family {
    std::string help;
    std::vector<std::function<std::vector<Sample>()>> sources;
  };

  std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;
};

Metrics::Metrics(const Names& names) : series_(std::make_unique<Series>(names)), gauges_(std::make_unique<Gauges>()) {}
Metrics::~Metrics() = default;

void Metrics::AddGauge(std::string_view name, std::string_view help, Labels labels, std::function<double()> value) {
  for (const auto& [label, text] : labels) {
    if (!prometheus::CheckLabelName(label)) {
      throw std::logic_error("not a label name: " + label);
    }
  }
  AddGauge(name, help,
           [labels = std::move(labels), value = std::move(value)] { return std::vector{Sample{labels, value()}}; });
}

void Metrics::AddGauge(std::string_view name, std::string_view help, std::function<std::vector<Sample>()> samples) {
  if (!prometheus::CheckMetricName(std::string(name)))
    throw std::logic_error("not a metric name: " + std::string(name));
  const auto counted = series_->registry.Collect();
  if (name == kScanDurationAlias ||
      std::ranges::find(counted, name, &prometheus::MetricFamily::name) != counted.end()) {
    throw std::logic_error("not a gauge: " + std::string(name));
  }
  std::lock_guard lock(gauges_->mutex);
  Gauges::Family& family = gauges_->families.try_emplace(std::string(name), std::string(help)).first->second;
  family.sources.push_back(std::move(samples));
}

std::string Metrics::Render() const {
  std::vector<prometheus::MetricFamily> families = series_->registry.Collect();
  prometheus::MetricFamily alias = *std::ranges::find(families, kScanDuration, &prometheus::MetricFamily::name);
  alias.name = kScanDurationAlias;
  families.push_back(std::move(alias));

  std::lock_guard lock(gauges_->mutex);
  for (const auto& [name, gauge] : gauges_->families) {
    prometheus::MetricFamily family{name, gauge.help, prometheus::MetricType::Gauge, {}};
    std::set<std::vector<prometheus::ClientMetric::Label>> seen;
    for (const auto& source : gauge.sources) {
      for (Sample& sample : source()) {
        if (std::isnan(sample.value)) continue;
        prometheus::ClientMetric metric;
        for (auto& [label, text] : sample.labels) metric.label.push_back({label, Printable(std::move(text))});
        metric.gauge.value = sample.value;
        if (seen.insert(metric.label).second) family.metric.push_back(std::move(metric));
      }
    }
    if (!family.metric.empty()) families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

void Metrics::OnRequest(std::string_view route, int status, std::chrono::duration<double> took) {
  auto found = std::ranges::find(series_->routes, route, [](const auto& r) -> std::string_view { return r->name; });
  Series::Route& place = found == series_->routes.end() ? *series_->routes.back() : **found;
  place.Count(status, 1);
  place.duration.Observe(took.count());
}

void Metrics::OnVerdict(VerdictKind kind, Reason reason, bool cached) {
  Counter* counter = series_->VerdictPlace(kind, reason, cached);
  if (counter == nullptr) throw std::logic_error("a verdict that contradicts itself");
  counter->Increment();
}

void Metrics::OnCacheLookup(CacheResult result) { series_->lookups.at(static_cast<std::size_t>(result))->Increment(); }

void Metrics::OnOverridden(VerdictKind kind) {
  if (Counter* const counter = series_->overridden.at(static_cast<std::size_t>(kind))) counter->Increment();
}

void Metrics::OnStaleServed() { series_->stale_served.Increment(); }

void Metrics::OnRescanned(VerdictKind kind) { series_->rescans.at(static_cast<std::size_t>(kind))->Increment(); }

void Metrics::OnCacheWriteFailed() { series_->cache_write_failures.Increment(); }

void Metrics::OnScan(std::chrono::duration<double> in_engine, std::uint64_t bytes) {
  series_->scan_duration.Observe(in_engine.count());
  series_->scanned_bytes.Increment(static_cast<double>(bytes));
}

void Metrics::OnCoalesced() { series_->coalesced.Increment(); }
void Metrics::OnGaveWay() { series_->gave_way.Increment(); }

void Metrics::OnRefused(std::string_view why) {
  auto found = std::ranges::find(series_->refusals, why, [](const auto& r) -> std::string_view { return r.first; });
  (found == series_->refusals.end() ? series_->refusals.back() : *found).second->Increment();
}

void Metrics::OnSpooled(std::chrono::duration<double> took, std::uint64_t bytes) {
  series_->spool_duration.Observe(took.count());
  series_->spooled_bytes.Increment(static_cast<double>(bytes));
}

void Metrics::OnScannerStarted() { series_->scanners_started.Increment(); }

void Metrics::OnScannerEnded(ScannerEnd end) { series_->ends.at(static_cast<std::size_t>(end))->Increment(); }

void Metrics::OnZygoteRestarted() { series_->zygote_restarts.Increment(); }

void Metrics::OnSignatures(SignatureEvent event) {
  series_->signatures.at(static_cast<std::size_t>(event))->Increment();
}

void Metrics::OnJob(JobEvent event) { series_->jobs.at(static_cast<std::size_t>(event))->Increment(); }

void Metrics::OnDelivery(DeliveryEvent event) { series_->deliveries.at(static_cast<std::size_t>(event))->Increment(); }

}  // namespace lazaret::metrics
