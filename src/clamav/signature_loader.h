#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "clamav/generation.h"
#include "clamav/signature_probe.h"
#include "clamav/signature_snapshot.h"
#include "clamav/signature_status.h"
#include "core/verdict.h"

namespace lazaret::clamav {

struct LoaderSettings {
  std::filesystem::path program;         // lazaret-scanner
  std::filesystem::path temp_directory;  // each generation gets one of its own in it
  wire::LoadRequest limits;              // with slots; the directories in it are filled in
  milliseconds load_timeout = seconds(600);
  int nice = 10;  // of a set that is loaded beside another one
  ProbeFiles probe;
};

// A set that can be used: loaded, unchanged on disk, probed, all scanners forked. Whether it is to be used is another
// question.
struct LoadedSet {
  GenerationPtr generation;
  EngineInfoPtr engine;
  SignatureSnapshot snapshot;
  ProbeReport probe;
  std::vector<std::string> load_errors;    // libclamav's
  std::vector<std::string> load_warnings;  // libclamav's, and of missing layers of the sandbox
  std::uint64_t load_ms;
};

enum class LoadPriority { kNormal, kLow };

// Loads signature sets and tries them out. One executor.
class SignatureLoader {
 public:
  using OnPhase = std::function<void(LoadPhase)>;

  SignatureLoader(LoaderSettings settings, const ScannerParts& parts, aio::BlockingPool& disk);

  // A refusal leaves no process behind.
  aio::Task<std::expected<LoadedSet, Refusal>> Load(SignatureSnapshot snapshot, LoadPriority priority,
                                                    OnPhase on_phase);

 private:
  class TempDirectory;

  aio::Task<std::expected<LoadedSet, Refusal>> LoadInto(GenerationPtr generation, SignatureSnapshot snapshot,
                                                        wire::LoadRequest request, OnPhase on_phase);

  const LoaderSettings settings_;
  const ScannerParts parts_;
  aio::BlockingPool& disk_;
  std::shared_ptr<std::vector<bool>> temp_directories_;  // which are taken
};

// How strictly a set is compared with the one in use.
struct ComparisonSettings {
  std::uint64_t least_percent = 50;  // of its signatures; 0: any number
  bool refuse_load_errors = true;    // when there were none before
  enum class Eicar { kAsBefore, kRequired, kIgnored } eicar = Eicar::kAsBefore;
};

// What is remembered of the set in use for comparisons.
struct SetMeasure {
  std::uint64_t signatures;
  bool finds_eicar;
  bool has_load_errors;
};
SetMeasure Measure(const LoadedSet& set);

// Why `candidate` is not to be used in the place of `current`, which may be none.
std::optional<Refusal> FindFault(const LoadedSet& candidate, const std::optional<SetMeasure>& current,
                                 const ComparisonSettings& settings);

}  // namespace lazaret::clamav
