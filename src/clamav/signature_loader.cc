#include "clamav/signature_loader.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clamav/engine_identity.h"
#include "clamav/signature_files.h"

namespace lazaret::clamav {
namespace {

constexpr seconds kForkTime{5};  // for all scanners

RefusalKind KindOfLoadFailure(Errc code) {
  switch (code) {
    case Errc::kCorrupt: return RefusalKind::kDoesNotLoad;
    case Errc::kTimeout: return RefusalKind::kTooSlow;
    case Errc::kDisconnected: return RefusalKind::kCrashed;
    default: return RefusalKind::kEngineFailed;
  }
}

std::unexpected<Refusal> Refuse(RefusalKind kind, std::string reason) {
  return std::unexpected(Refusal{kind, std::move(reason)});
}

}  // namespace

// A directory that no other living generation has: <root>/<number>. The zygote empties what it finds in it.
class SignatureLoader::TempDirectory {
 public:
  TempDirectory(const std::filesystem::path& root, std::shared_ptr<std::vector<bool>> taken)
      : taken_(std::move(taken)),
        number_(static_cast<std::size_t>(std::ranges::find(*taken_, false) - taken_->begin())),
        path_(root / std::to_string(number_)) {
    if (number_ == taken_->size()) taken_->push_back(false);
    (*taken_)[number_] = true;
  }
  ~TempDirectory() { (*taken_)[number_] = false; }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  Result<void> Make() const {
    std::error_code failed;
    std::filesystem::create_directories(path_, failed);
    if (failed) return std::unexpected(SystemError("creating " + path_.native(), failed.value()));
    // Without private mounts the scanners' user goes through both.
    (void)::chmod(path_.parent_path().c_str(), 0711);
    (void)::chmod(path_.c_str(), 0711);
    return {};
  }

 private:
  const std::shared_ptr<std::vector<bool>> taken_;
  const std::size_t number_;
  const std::filesystem::path path_;
};

SignatureLoader::SignatureLoader(LoaderSettings settings, const ScannerParts& parts, aio::BlockingPool& disk)
    : settings_(std::move(settings)),
      parts_(parts),
      disk_(disk),
      temp_directories_(std::make_shared<std::vector<bool>>()) {}

aio::Task<std::expected<LoadedSet, Refusal>> SignatureLoader::Load(SignatureSnapshot snapshot, LoadPriority priority,
                                                                   OnPhase on_phase) {
  auto temp = std::make_shared<const TempDirectory>(settings_.temp_directory, temp_directories_);
  if (const auto made = temp->Make(); !made) co_return Refuse(RefusalKind::kNoDisk, made.error().what);
  wire::LoadRequest request = settings_.limits;
  request.signature_directory = snapshot.directory.native();
  request.temp_directory = temp->path().native();
  request.low_priority = priority == LoadPriority::kLow;
  on_phase(LoadPhase::kLoading);
  auto generation = Generation::Spawn({.program = settings_.program,
                                       .load = request,
                                       .nice = request.low_priority && CanLowerNice() ? settings_.nice : 0,
                                       .temp_claim = temp},
                                      parts_);
  if (!generation) co_return Refuse(RefusalKind::kEngineFailed, generation.error().what);
  auto loaded = co_await LoadInto(*generation, std::move(snapshot), std::move(request), std::move(on_phase));
  if (!loaded) co_await (*generation)->End();
  co_return loaded;
}

aio::Task<std::expected<LoadedSet, Refusal>> SignatureLoader::LoadInto(GenerationPtr generation,
                                                                       SignatureSnapshot snapshot,
                                                                       wire::LoadRequest request, OnPhase on_phase) {
  const SteadyTime deadline = parts_.clock.SteadyNow() + settings_.load_timeout;
  auto ready = co_await generation->Load(deadline);
  if (!ready) {
    if (ready.error().code == Errc::kTimeout) {
      generation->Kill();
      co_return Refuse(RefusalKind::kTooSlow,
                       fmt::format("loading did not end within {} s",
                                   std::chrono::duration<double>(settings_.load_timeout).count()));
    }
    co_return Refuse(KindOfLoadFailure(ready.error().code), ready.error().what);
  }
  on_phase(LoadPhase::kVerifying);
  const auto unchanged = co_await disk_.Run([&] { return CheckUnchanged(snapshot); });
  if (!unchanged) co_return Refuse(RefusalKind::kChanging, unchanged.error().what);

  on_phase(LoadPhase::kProbing);
  generation->Serve();
  ProbeReport probe = co_await Probe(generation, settings_.probe, disk_, deadline);
  if (!probe.failures.empty()) {
    co_return Refuse(RefusalKind::kProbeFailed,
                     fmt::format("the signatures could not be tried out: {}", fmt::join(probe.failures, "; ")));
  }
  if (!probe.false_positives.empty()) {
    co_return Refuse(RefusalKind::kMatchesClean, fmt::format("contents that are known to be clean are detected: {}",
                                                             fmt::join(probe.false_positives, "; ")));
  }
  if (!probe.missed.empty()) {
    co_return Refuse(RefusalKind::kMissesSample,
                     fmt::format("a sample that must be detected is not: {}", fmt::join(probe.missed, " ")));
  }
  // So that scans need not wait; one would do.
  (void)co_await generation->WaitForScanners(request.slots, std::min(deadline, parts_.clock.SteadyNow() + kForkTime));
  if (generation->has_ended()) co_return Refuse(RefusalKind::kProbeFailed, "the zygote died while it forked scanners");
  EngineInfo engine = DescribeEngine(snapshot, request, *ready);
  const auto marks = co_await disk_.Run([&] { return MarkFiles(snapshot.directory); });
  if (marks) engine.files_at = NewestTime(*marks);
  engine.loaded_at = parts_.clock.Now();
  co_return LoadedSet{std::move(generation),
                      std::make_shared<const EngineInfo>(std::move(engine)),
                      std::move(snapshot),
                      std::move(probe),
                      std::move(ready->errors),
                      std::move(ready->warnings),
                      ready->load_ms};
}

SetMeasure Measure(const LoadedSet& set) {
  return {set.engine->signatures, set.probe.finds_eicar, !set.load_errors.empty()};
}

std::optional<Refusal> FindFault(const LoadedSet& candidate, const std::optional<SetMeasure>& current,
                                 const ComparisonSettings& settings) {
  using Eicar = ComparisonSettings::Eicar;
  const bool wants_eicar =
      settings.eicar == Eicar::kRequired || (settings.eicar == Eicar::kAsBefore && current && current->finds_eicar);
  if (wants_eicar && !candidate.probe.finds_eicar) {
    return Refusal{RefusalKind::kMissesSample, settings.eicar == Eicar::kRequired
                                                   ? "the EICAR test file is not detected"
                                                   : "the EICAR test file is not detected any more"};
  }
  if (!current) return std::nullopt;
  const std::uint64_t now = candidate.engine->signatures;
  if (static_cast<double>(now) * 100 <
      static_cast<double>(current->signatures) * static_cast<double>(settings.least_percent)) {
    return Refusal{RefusalKind::kTooSmall, fmt::format("only {} signatures, less than {} % of the {} in use", now,
                                                       settings.least_percent, current->signatures)};
  }
  if (settings.refuse_load_errors && !candidate.load_errors.empty() && !current->has_load_errors) {
    return Refusal{RefusalKind::kLoadErrors, fmt::format("libclamav complains of it and not of the set in use: {}",
                                                         candidate.load_errors.front())};
  }
  return std::nullopt;
}

}  // namespace lazaret::clamav
