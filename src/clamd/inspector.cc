#include "clamd/inspector.h"

#include <algorithm>
#include <utility>

#include "aio/caught.h"
#include "clamd/file_copy.h"
#include "wire/clamd_answer.h"

namespace lazaret::clamd {
namespace {

constexpr std::size_t kMostWaitingWalks = 256;  // each holds a descriptor

}  // namespace

Inspector::Inspector(InspectorSettings settings, ScanService& service, Spool& spool, FilePool& files,
                     const Clock& clock, Log& log, Telemetry& telemetry)
    : settings_(std::move(settings)),
      service_(service),
      spool_(spool),
      files_(files),
      clock_(clock),
      log_(log),
      telemetry_(telemetry),
      walks_(settings_.max_walks, kMostWaitingWalks) {}

void Inspector::Report(const Error& error) const { log_.Error("clamd request failed", {{"error", error.what}}); }

aio::Task<Finding> Inspector::Settled(aio::Task<Finding> task) const {
  auto finding = co_await aio::Caught(std::move(task));
  if (finding) co_return *std::move(finding);
  Report(finding.error());
  co_return Finding::Of(finding.error());
}

Finding Inspector::Refuse(const Error& error) const {
  switch (error.code) {
    case Errc::kTooLarge:
    case Errc::kOverloaded:
    case Errc::kUnavailable:
    case Errc::kTimeout: telemetry_.OnRefused(ToString(error.code)); break;
    default: break;
  }
  return Finding::Of(error);
}

std::optional<Finding> Inspector::RefuseEarly() const {
  if (const auto admitted = service_.CheckAdmission(0); !admitted) return Refuse(admitted.error());
  if (const auto room = spool_.CheckRoom(std::nullopt); !room) return Refuse(room.error());
  return std::nullopt;
}

aio::Task<Finding> Inspector::InspectUpload(SpoolWriter writer, SteadyTime since) {
  telemetry_.OnSpooled(clock_.SteadyNow() - since, writer.size());
  return Settled(Finish(std::move(writer)));
}

aio::Task<Finding> Inspector::Finish(SpoolWriter writer) {
  auto content = writer.Finish();
  if (!content) co_return Refuse(content.error());
  co_return co_await Inspect(*std::move(content));
}

aio::Task<Finding> Inspector::InspectFile(KeptFd fd, FileShare files) {
  return Settled(ReadAndInspect(std::move(fd), std::move(files)));
}

aio::Task<Finding> Inspector::ReadAndInspect(KeptFd fd, FileShare files) {
  if (auto refused = RefuseEarly()) co_return *std::move(refused);
  auto content = co_await CopyFile(std::move(fd), spool_, std::move(files), Deadline());
  if (!content) co_return std::move(content).error();
  co_return co_await Inspect(*std::move(content));
}

aio::Task<Finding> Inspector::Inspect(ContentPtr content) {
  struct Count {
    std::atomic<std::size_t>& n;
    explicit Count(std::atomic<std::size_t>& count) : n(count) { ++n; }
    ~Count() { --n; }
  } count(under_way_);
  // Nothing here could mark a verdict as stale, so that there is none, whatever cache.stale says.
  if (const auto known = co_await service_.FindFresh(content->digest())) {
    co_return Finding::Of(*known, settings_.unscannable);
  }
  auto answer = co_await service_.Scan(std::move(content), Deadline());
  if (!answer) co_return Refuse(answer.error());
  co_return Finding::Of(*answer, settings_.unscannable);
}

Result<std::string> Inspector::Version() const {
  const ServiceStatus status = service_.Status();
  if (status.engine == nullptr) return Fail(Errc::kUnavailable, status.not_ready_reason);
  // Another clamd's: its date may be one of another time zone.
  if (!status.engine->version_line.empty()) return status.engine->version_line;
  const auto& databases = status.engine->databases;
  const auto daily = std::ranges::find(databases, "daily", &DatabaseVersion::name);
  if (daily == databases.end()) return wire::FormatClamdVersion(status.engine->version, std::nullopt);
  return wire::FormatClamdVersion(status.engine->version, wire::ClamdDailyVersion{daily->version, daily->built_at});
}

std::string Inspector::Stats(std::size_t idle_timeout_s) const {
  const ServiceStatus status = service_.Status();
  const std::size_t busy = std::min<std::size_t>(status.slots, under_way_);
  return wire::FormatClamdStats({.ready = status.engine != nullptr,
                                 .threads_live = status.slots,
                                 .threads_idle = status.slots - busy,
                                 .threads_max = status.slots,
                                 .idle_timeout_s = idle_timeout_s,
                                 .queued = status.waiting,
                                 .memory_used = spool_.memory_used(),
                                 .memory_total = spool_.settings().memory_budget});
}

std::size_t Inspector::Slots() const { return std::max<std::size_t>(2, service_.Status().slots); }

}  // namespace lazaret::clamd
