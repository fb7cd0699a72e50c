#include "clamav/signature_probe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "aio/deadline.h"
#include "base/memory_file.h"
#include "clamav/probe_samples.h"
#include "clamav/signature_snapshot.h"

namespace lazaret::clamav {
namespace {

constexpr seconds kScanTime{30};
constexpr int kAttempts = 3;

struct OpenFile {
  UniqueFd fd;
  std::uint64_t size;
};

Result<OpenFile> Open(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (!fd || ::fstat(fd.Get(), &info) != 0) return std::unexpected(SystemError("reading " + path.native(), errno));
  if (!S_ISREG(info.st_mode)) return Fail(Errc::kMalformed, path.native() + " is no regular file");
  return OpenFile{std::move(fd), static_cast<std::uint64_t>(info.st_size)};
}

// A scanner of the generation, as long as it lives; killed unless it is given back.
class Borrowed {
 public:
  Borrowed(GenerationPtr generation, Generation::ScannerPtr scanner)
      : generation_(std::move(generation)), scanner_(std::move(scanner)) {}
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed() {
    if (scanner_ != nullptr) scanner_->Kill(ScannerEnd::kCrashed);
    generation_->Release();
  }
  ScannerProcess& scanner() { return *scanner_; }
  void GiveBack(bool is_last) { generation_->Return(std::exchange(scanner_, nullptr), is_last); }

 private:
  const GenerationPtr generation_;
  Generation::ScannerPtr scanner_;
};

aio::Task<Result<wire::Outcome>> ScanOne(const GenerationPtr& generation, int fd, std::uint64_t size,
                                         SteadyTime deadline) {
  if (auto ready = co_await generation->WaitForScanners(1, deadline); !ready) co_return std::unexpected(ready.error());
  auto taken = generation->TakeIdle();
  if (taken == nullptr) co_return Fail(Errc::kUnavailable, "its scanners die by themselves");
  Borrowed borrowed(generation, std::move(taken));
  const SteadyTime until = std::min(deadline, std::chrono::steady_clock::now() + kScanTime);
  auto outcome = co_await aio::WithDeadline(borrowed.scanner().Scan(fd, size, kScanTime), until, "it took too long");
  if (outcome) borrowed.GiveBack(outcome->is_last);
  co_return outcome;
}

}  // namespace

aio::Task<ProbeReport> Probe(GenerationPtr generation, const ProbeFiles& files, aio::BlockingPool& disk,
                             SteadyTime deadline) {
  ProbeReport report;
  // What was found, when anything can be said of it.
  const auto scan = [&](std::string name, int fd, std::uint64_t size) -> aio::Task<std::optional<wire::Outcome>> {
    auto outcome = co_await ScanOne(generation, fd, size, deadline);
    // A scanner may die for a reason of its own, but hardly every time.
    for (int attempt = 1; attempt < kAttempts && !outcome && outcome.error().code != Errc::kTimeout; ++attempt) {
      outcome = co_await ScanOne(generation, fd, size, deadline);
    }
    if (!outcome) {
      report.failures.push_back(fmt::format("{}: {}", name, outcome.error().what));
      co_return std::nullopt;
    }
    if (outcome->kind == wire::OutcomeKind::kIncomplete && outcome->reason == wire::OutcomeReason::kEngineError) {
      report.failures.push_back(fmt::format("{}: {}", name, outcome->detail));
      co_return std::nullopt;
    }
    co_return *outcome;
  };
  const auto must_be_clean = [&](std::string_view name, const wire::Outcome& outcome) {
    if (outcome.kind != wire::OutcomeKind::kInfected) return;
    report.false_positives.push_back(fmt::format("{}: {}", name, fmt::join(outcome.signatures, " ")));
  };

  for (const ProbeSample& sample : CleanSamples()) {
    const auto file = MakeSealedMemoryFile(AsBytes(sample.content));
    if (!file) {
      report.failures.push_back(file.error().what);
      co_return report;
    }
    const auto outcome = co_await scan(std::string(sample.name), file->Get(), sample.content.size());
    if (outcome) must_be_clean(sample.name, *outcome);
    // One is enough to refuse the set, and each may take long.
    if (!report.failures.empty()) co_return report;
  }
  const std::string eicar = EicarTestFile();
  if (const auto file = MakeSealedMemoryFile(AsBytes(eicar))) {
    const auto outcome = co_await scan("EICAR", file->Get(), eicar.size());
    report.finds_eicar = outcome && outcome->kind == wire::OutcomeKind::kInfected;
  }
  for (const bool is_clean : {true, false}) {
    for (const std::filesystem::path& path : is_clean ? files.clean : files.infected) {
      const auto file = co_await disk.Run([&] { return Open(path); });
      if (!file) {
        report.warnings.push_back(file.error().what);
        continue;
      }
      const auto outcome = co_await scan(path.native(), file->fd.Get(), file->size);
      if (!outcome) continue;
      if (is_clean) {
        must_be_clean(path.native(), *outcome);
      } else if (outcome->kind != wire::OutcomeKind::kInfected) {
        report.missed.push_back(path.native());
      }
    }
  }
  co_return report;
}

}  // namespace lazaret::clamav
