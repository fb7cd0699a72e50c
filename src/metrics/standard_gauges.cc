#include "metrics/standard_gauges.h"

namespace lazaret::metrics {
namespace {

double Seconds(milliseconds duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

void AddStandardGauges(Metrics& metrics, const GaugeSources& sources, const Clock& clock, const std::string& version) {
  const auto add = [&](std::string_view name, std::string_view help, Labels labels,
                       const std::function<double()>& value) {
    if (value) metrics.AddGauge(name, help, std::move(labels), value);
  };
  add("lazaret_queue_length", "Scans that wait for a scanner.", {}, sources.queue_length);
  add("clamav_queue_length", "Scans that wait for a scanner.", {}, sources.queue_length);
  add("lazaret_queue_oldest_wait_seconds", "How long the oldest of them has waited.", {},
      sources.queue_oldest_wait_seconds);
  add("lazaret_http_connections", "Open connections.", {}, sources.http_connections);
  add("lazaret_clamd_connections", "Open connections of clients that speak clamd's protocol.", {},
      sources.clamd_connections);
  add("lazaret_spool_bytes", "Bytes of contents that are held.", {{"where", "memory"}}, sources.spool_memory_bytes);
  add("lazaret_spool_bytes", "Bytes of contents that are held.", {{"where", "disk"}}, sources.spool_disk_bytes);
  add("lazaret_contents_waiting_for_disk", "Contents that wait for their turn to be written to a file.", {},
      sources.contents_waiting_for_disk);
  add("lazaret_cache_entries", "Verdicts in the cache.", {}, sources.cache_entries);
  add("lazaret_build_info", "The version of lazaret.", {{"version", version}}, [] { return 1.0; });
  if (sources.scanners) {
    metrics.AddGauge("lazaret_scanners", "Scanner processes by what they do.", [scanners = sources.scanners] {
      const ScannerCounts counts = scanners();
      return std::vector{Sample{{{"state", "idle"}}, static_cast<double>(counts.idle)},
                         Sample{{{"state", "busy"}}, static_cast<double>(counts.busy)},
                         Sample{{{"state", "starting"}}, static_cast<double>(counts.starting)}};
    });
  }
  add("lazaret_callbacks_waiting", "Callbacks that are due or will be tried again.", {}, sources.callbacks_waiting);
  add("lazaret_overrides", "Overrides that are in force.", {}, sources.overrides);
  add("lazaret_long_polls", "Look-ups that are held until their scan is done.", {}, sources.long_polls);
  if (sources.jobs) {
    metrics.AddGauge("lazaret_jobs", "Submitted scans by their state.", [jobs = sources.jobs] {
      const JobCounts counts = jobs();
      return std::vector{Sample{{{"state", "queued"}}, static_cast<double>(counts.queued)},
                         Sample{{{"state", "scanning"}}, static_cast<double>(counts.leased)},
                         Sample{{{"state", "done"}}, static_cast<double>(counts.done)},
                         Sample{{{"state", "dead"}}, static_cast<double>(counts.dead)}};
    });
    add("lazaret_job_bytes", "Bytes of the contents of jobs that are not done.", {},
        [jobs = sources.jobs] { return static_cast<double>(jobs().bytes); });
    add("lazaret_job_oldest_age_seconds", "How long ago the oldest job that is not done was submitted.", {},
        [jobs = sources.jobs, &clock] {
          const auto oldest = jobs().oldest;
          return oldest ? Seconds(clock.Now() - *oldest) : 0.0;
        });
  }
  if (sources.clamd_servers) {
    const auto each = [&](std::string_view name, std::string_view help, double (*value)(const ClamdServerStatus&)) {
      metrics.AddGauge(name, help, [servers = sources.clamd_servers, value] {
        std::vector<Sample> samples;
        for (const ClamdServerStatus& one : servers()) samples.push_back(Sample{{{"server", one.name}}, value(one)});
        return samples;
      });
    };
    each("lazaret_clamd_up", "1 while scans are given to this clamd server.",
         [](const ClamdServerStatus& one) { return one.up ? 1.0 : 0.0; });
    each("lazaret_clamd_scans", "Scans in progress on this clamd server.",
         [](const ClamdServerStatus& one) { return static_cast<double>(one.in_flight); });
  }
  if (const auto& engine = sources.signatures.engine) {
    metrics.AddGauge("clamav_up", "1 while the engine can scan.", {},
                     [engine] { return engine() == nullptr ? 0.0 : 1.0; });
  }
  AddSignatureGauges(metrics, sources.signatures, clock);
}

}  // namespace lazaret::metrics
