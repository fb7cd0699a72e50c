#include "clamav/clamd_examination.h"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "clamav/clamd_probe.h"

namespace lazaret::clamav {
namespace {

constexpr seconds kProbeTime{30};  // for one probe to be scanned
constexpr std::uint64_t kLeastLargest = 64 * 1024;
constexpr int kMostRounds = 3;  // while its signatures change

class Examination {
 public:
  Examination(ClamdClient client, ExaminationSettings settings, std::uint64_t known_largest, const Clock& clock)
      : client_(std::move(client)), settings_(settings), known_largest_(known_largest), clock_(clock) {}

  aio::Task<Result<ExaminedClamd>> Run();

 private:
  aio::Task<Result<ClamdAbilities>> Probe();
  aio::Task<Result<std::uint64_t>> FindLargest(bool tells_limits);
  aio::Task<Result<wire::ClamdFinding>> FindingOf(std::string probe);
  aio::Task<Result<wire::ClamdScanReply>> Scan(int content, std::uint64_t size);
  aio::Task<Result<wire::ClamdScanReply>> ScanInAnyTime(int content, std::uint64_t size);

  ClamdClient client_;
  const ExaminationSettings settings_;
  const std::uint64_t known_largest_;
  const Clock& clock_;
};

aio::Task<Result<ExaminedClamd>> Examination::Run() {
  auto before = co_await client_.Check();
  for (int round = 1; before && round <= kMostRounds; ++round) {
    const auto abilities = co_await Probe();
    if (!abilities) co_return std::unexpected(abilities.error());
    auto after = co_await client_.Version();
    if (!after) co_return std::unexpected(after.error());
    if (*before == *after) co_return ExaminedClamd{client_, *std::move(after), *abilities};
    before = std::move(after);
  }
  if (!before) co_return std::unexpected(before.error());
  co_return Fail(Errc::kUnavailable, "its signatures change all the time while it is examined");
}

aio::Task<Result<ClamdAbilities>> Examination::Probe() {
  ClamdAbilities abilities;
  if (known_largest_ == 0) client_.SendDescriptors(true);
  auto eicar = co_await FindingOf(EicarProbe());
  if (!eicar && !IsOurFault(eicar.error()) && client_.sends_descriptors()) {
    client_.SendDescriptors(false);
    eicar = co_await FindingOf(EicarProbe());
  }
  if (!eicar) co_return std::unexpected(eicar.error());
  if (*eicar != wire::ClamdFinding::kInfected) {
    co_return Fail(Errc::kUnavailable, "it does not find the EICAR test file, so it would not find anything else");
  }
  const auto deep = co_await FindingOf(DeepProbe());
  if (!deep) co_return std::unexpected(deep.error());
  abilities.tells_limits = *deep == wire::ClamdFinding::kLimitExceeded;
  const auto encrypted = co_await FindingOf(EncryptedProbe());
  if (!encrypted) co_return std::unexpected(encrypted.error());
  abilities.tells_encryption = *encrypted == wire::ClamdFinding::kEncrypted;
  if (settings_.require_alerts && !(abilities.tells_limits && abilities.tells_encryption)) {
    co_return Fail(Errc::kUnavailable,
                   "it calls clean what it could not look into: put AlertExceedsMax yes and AlertEncrypted yes into "
                   "its clamd.conf, "
                   "or accept such verdicts with clamd_pool.require_alerts = false");
  }
  abilities.largest = known_largest_;
  if (known_largest_ == 0) {
    const auto largest = co_await FindLargest(abilities.tells_limits);
    if (!largest) co_return std::unexpected(largest.error());
    abilities.largest = *largest;
  }
  co_return abilities;
}

// Halves the size until what is in a content of that size is found: a clamd calls clean what is over its MaxFileSize.
aio::Task<Result<std::uint64_t>> Examination::FindLargest(bool tells_limits) {
  for (std::uint64_t size = settings_.max_file_size; size >= kLeastLargest; size /= 2) {
    const auto probe = SizedProbe(size);
    if (!probe) co_return std::unexpected(probe.error());
    const auto reply = co_await Scan(probe->Get(), size);
    if (!reply) co_return std::unexpected(reply.error());
    const bool is_told = tells_limits && reply->text.starts_with("Heuristics.Limits.Exceeded");
    if (reply->finding == wire::ClamdFinding::kInfected || is_told) co_return size;
  }
  co_return Fail(Errc::kUnavailable, fmt::format("it finds nothing in a file of {} bytes: its MaxFileSize, MaxScanSize "
                                                 "or StreamMaxLength is too low, or it does not look into ZIP files",
                                                 kLeastLargest));
}

aio::Task<Result<wire::ClamdFinding>> Examination::FindingOf(std::string probe) {
  const auto content = MakeProbeFile(probe);
  if (!content) co_return std::unexpected(content.error());
  const auto reply = co_await Scan(content->Get(), probe.size());
  if (!reply) co_return std::unexpected(reply.error());
  co_return reply->finding;
}

aio::Task<Result<wire::ClamdScanReply>> Examination::Scan(int content, std::uint64_t size) {
  auto reply = co_await aio::WithDeadline(ScanInAnyTime(content, size), clock_.SteadyNow() + kProbeTime,
                                          "it did not scan a harmless probe in time");
  if (reply && reply->finding == wire::ClamdFinding::kError) {
    co_return Fail(Errc::kUnavailable, fmt::format("it could not scan a harmless probe: {}", reply->text));
  }
  co_return reply;
}

aio::Task<Result<wire::ClamdScanReply>> Examination::ScanInAnyTime(int content, std::uint64_t size) {
  auto connection = co_await client_.Connect();
  if (!connection) co_return std::unexpected(connection.error());
  co_return co_await client_.Scan(*std::move(connection), content, size);
}

}  // namespace

aio::Task<Result<ExaminedClamd>> ExamineClamd(ClamdClient client, ExaminationSettings settings,
                                              std::uint64_t known_largest, const Clock& clock) {
  Examination examination(std::move(client), settings, known_largest, clock);
  co_return co_await examination.Run();
}

}  // namespace lazaret::clamav
