#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "core/job_queue.h"
#include "metrics/metrics.h"
#include "metrics/signature_gauges.h"

namespace lazaret::metrics {

// Scanner processes by what they do now.
struct ScannerCounts {
  std::uint64_t idle = 0;
  std::uint64_t busy = 0;
  std::uint64_t starting = 0;
};

// One clamd server of the engine.
struct ClamdServerStatus {
  std::string name;  // "unix:/run/clamd.sock"
  bool up = false;
  std::uint64_t in_flight = 0;  // scans
};

// Where the gauges get their values; called by Render in its thread, so each must be thread-safe and quick. The gauges
// of an empty function are left out.
struct GaugeSources {
  std::function<double()> queue_length;               // scans that wait for a scanner
  std::function<double()> queue_oldest_wait_seconds;  // 0 when nothing waits
  std::function<ScannerCounts()> scanners;
  std::function<std::vector<ClamdServerStatus>()> clamd_servers;
  std::function<double()> http_connections;
  std::function<double()> clamd_connections;  // of clients that speak clamd's protocol
  std::function<double()> spool_memory_bytes;
  std::function<double()> spool_disk_bytes;
  std::function<double()> contents_waiting_for_disk;
  std::function<double()> cache_entries;
  std::function<JobCounts()> jobs;
  std::function<double()> callbacks_waiting;
  std::function<double()> overrides;   // in force
  std::function<double()> long_polls;  // requests that are held until their scan is done
  SignatureSources signatures;
};

// Adds to `metrics`:
//   lazaret_queue_length, clamav_queue_length, lazaret_queue_oldest_wait_seconds, lazaret_scanners{state},
//   lazaret_clamd_up{server}, lazaret_clamd_scans{server}, lazaret_http_connections, lazaret_clamd_connections,
//   lazaret_spool_bytes{where}, lazaret_contents_waiting_for_disk, lazaret_cache_entries, lazaret_build_info{version},
//   lazaret_jobs{state}, lazaret_job_bytes, lazaret_job_oldest_age_seconds, lazaret_callbacks_waiting,
//   lazaret_long_polls, lazaret_overrides, clamav_up and those of AddSignatureGauges; while the engine cannot scan, or
//   does not know, there is only clamav_up 0 of what the engine says.
// `clock` and whatever the sources refer to must outlive `metrics`.
void AddStandardGauges(Metrics& metrics, const GaugeSources& sources, const Clock& clock, const std::string& version);

}  // namespace lazaret::metrics
