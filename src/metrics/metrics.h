#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/telemetry.h"

namespace lazaret::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

// One value of a gauge. NaN says that there is none now.
struct Sample {
  Labels labels;
  double value;
};

// Counts what the parts report and renders it in Prometheus' text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). Every series whose labels can be known exists from
// the start with 0. Thread-safe; counting resolves no label and, but for the histograms' short locks, takes no lock.
class Metrics final : public Telemetry {
 public:
  // What OnRequest and OnRefused will be called with; with anything else they count as "other".
  struct Names {
    std::vector<std::string_view> routes;
    std::vector<std::string_view> refusals;
  };

  explicit Metrics(const Names& names);
  ~Metrics() override;
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Adds a value to the gauge `name`; several with different labels make one family. `value` is called by each Render,
  // in its thread: it must be thread-safe and must not throw or call this object. Throws std::logic_error for a name
  // that the format does not allow or that is counted here.
  void AddGauge(std::string_view name, std::string_view help, Labels labels, std::function<double()> value);
  // The same for labels that change. Of samples with equal labels only the first is shown.
  void AddGauge(std::string_view name, std::string_view help, std::function<std::vector<Sample>()> samples);

  // Content-Type: text/plain; version=0.0.4; charset=utf-8
  std::string Render() const;

  void OnRequest(std::string_view route, int status, std::chrono::duration<double> took) override;
  void OnVerdict(VerdictKind kind, Reason reason, bool cached) override;
  void OnCacheLookup(CacheResult result) override;
  void OnOverridden(VerdictKind kind) override;
  void OnStaleServed() override;
  void OnRescanned(VerdictKind kind) override;
  void OnCacheWriteFailed() override;
  void OnScan(std::chrono::duration<double> in_engine, std::uint64_t bytes) override;
  void OnCoalesced() override;
  void OnGaveWay() override;
  void OnRefused(std::string_view why) override;
  void OnSpooled(std::chrono::duration<double> took, std::uint64_t bytes) override;
  void OnScannerStarted() override;
  void OnScannerEnded(ScannerEnd end) override;
  void OnZygoteRestarted() override;
  void OnSignatures(SignatureEvent event) override;
  void OnJob(JobEvent event) override;
  void OnDelivery(DeliveryEvent event) override;

 private:
  struct Series;
  struct Gauges;
  std::unique_ptr<Series> series_;
  std::unique_ptr<Gauges> gauges_;
};

}  // namespace lazaret::metrics
