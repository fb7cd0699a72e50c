#include "clamav/clamd_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "clamav/clamd_probe.h"

namespace lazaret::clamav {
namespace asio = boost::asio;

namespace {

constexpr seconds kProbeTime{30};  // for one probe to be scanned
constexpr std::uint64_t kLeastLargest = 64 * 1024;

}  // namespace

ClamdServer::ClamdServer(ClamdAddress address, const ClamdServerSettings& settings, const aio::Executor& executor,
                         aio::BlockingPool& disk, const Clock& clock, Log& log, std::function<void()> on_change)
    : settings_(settings),
      clock_(clock),
      log_(log),
      on_change_(std::move(on_change)),
      client_(std::move(address), {.connect = settings.connect_timeout, .answer = settings.answer_timeout}, disk),
      wake_(executor) {}

aio::Task<> ClamdServer::Watch() {
  for (;;) {
    co_await Look();
    SteadyTime next = clock_.SteadyNow();
    if (breaker_.is_closed()) {
      next += settings_.check_interval;
    } else {
      next += breaker_.Pause(std::uniform_real_distribution<double>(0, 1)(random_));
    }
    wake_.expires_at(poked_ && breaker_.is_closed() ? SteadyTime::min() : next);
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

void ClamdServer::Poke() {
  poked_ = true;
  // One that is down is left alone until its pause is over.
  if (breaker_.is_closed()) wake_.expires_at(SteadyTime::min());
}

aio::Task<> ClamdServer::Look() {
  // A scan that went well was as good as a check.
  if (standing_ != nullptr && !poked_ && clock_.SteadyNow() - last_heard_ < settings_.check_interval) co_return;
  // It failed or was slow: it may have been started again, with another configuration, behind a socket that stayed.
  const bool is_suspect = std::exchange(poked_, false);
  const StandingPtr before = standing_;
  if (before != nullptr) {
    const auto version = co_await client_.Check();
    if (!version) {
      if (version.error().code == Errc::kTimeout) {
        breaker_.OnSlow();
      } else {
        breaker_.OnRefused();
      }
      if (!breaker_.is_closed()) co_return MarkDown(version.error().what);
      poked_ = true;
      co_return;
    }
    last_heard_ = clock_.SteadyNow();
    if (standing_ == nullptr) co_return;  // scans have failed meanwhile
    if (!is_suspect && version->text == standing_->version.text) {
      MarkUp(Standing{*version, standing_->abilities, Describe(*version, standing_->abilities)});
      co_return;
    }
  }
  // Its configuration does not change while it runs, its signatures do.
  auto standing = co_await Examine(before != nullptr && !is_suspect ? before->abilities.largest : 0);
  if (!standing) {
    breaker_.OnRefused();
    MarkDown(standing.error().what);
    co_return;
  }
  last_heard_ = clock_.SteadyNow();
  LogReady(*standing);
  breaker_.OnExamined();
  MarkUp(*std::move(standing));
}

aio::Task<Result<ClamdServer::Standing>> ClamdServer::Examine(std::uint64_t known_largest) {
  if (auto found = co_await client_.Resolve(); !found) co_return std::unexpected(found.error());
  const auto before = co_await client_.Check();
  if (!before) co_return std::unexpected(before.error());
  const auto abilities = co_await Probe(known_largest);
  if (!abilities) co_return std::unexpected(abilities.error());
  const auto after = co_await client_.Version();
  if (!after) co_return std::unexpected(after.error());
  if (*before != *after) co_return Fail(Errc::kUnavailable, "its signatures changed while it was examined");
  co_return Standing{*after, *abilities, Describe(*after, *abilities)};
}

aio::Task<Result<ClamdAbilities>> ClamdServer::Probe(std::uint64_t known_largest) {
  ClamdAbilities abilities;
  if (known_largest == 0) client_.SendDescriptors(true);
  auto eicar = co_await FindingOf(EicarProbe());
  if (!eicar && client_.sends_descriptors()) {
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
  abilities.largest = known_largest;
  if (known_largest == 0) {
    const auto largest = co_await FindLargest(abilities.tells_limits);
    if (!largest) co_return std::unexpected(largest.error());
    abilities.largest = *largest;
  }
  co_return abilities;
}

// Halves the size until what is in a content of that size is found: a clamd calls clean what is over its MaxFileSize.
aio::Task<Result<std::uint64_t>> ClamdServer::FindLargest(bool tells_limits) {
  for (std::uint64_t size = settings_.max_file_size; size >= kLeastLargest; size /= 2) {
    const auto probe = SizedProbe(size);
    if (!probe) co_return std::unexpected(probe.error());
    const auto reply = co_await ScanProbe(probe->Get(), size);
    if (!reply) co_return std::unexpected(reply.error());
    const bool is_told = tells_limits && reply->text.starts_with("Heuristics.Limits.Exceeded");
    if (reply->finding == wire::ClamdFinding::kInfected || is_told) co_return size;
  }
  co_return Fail(Errc::kUnavailable, fmt::format("it finds nothing in a file of {} bytes: its MaxFileSize, MaxScanSize "
                                                 "or StreamMaxLength is too low, or it does not look into ZIP files",
                                                 kLeastLargest));
}

aio::Task<Result<wire::ClamdFinding>> ClamdServer::FindingOf(std::string probe) {
  const auto content = MakeProbeFile(probe);
  if (!content) co_return std::unexpected(content.error());
  const auto reply = co_await ScanProbe(content->Get(), probe.size());
  if (!reply) co_return std::unexpected(reply.error());
  co_return reply->finding;
}

aio::Task<Result<wire::ClamdScanReply>> ClamdServer::ScanProbe(int content, std::uint64_t size) {
  auto reply = co_await aio::WithDeadline(client_.Scan(content, size), clock_.SteadyNow() + kProbeTime,
                                          "it did not scan a harmless probe in time");
  if (reply && reply->finding == wire::ClamdFinding::kError) {
    co_return Fail(Errc::kUnavailable, fmt::format("it could not scan a harmless probe: {}", reply->text));
  }
  co_return reply;
}

EngineInfoPtr ClamdServer::Describe(const wire::ClamdVersion& version, const ClamdAbilities& abilities) const {
  auto info = DescribeClamd(version, abilities, settings_.max_file_size, clock_.Now());
  // The pointer stays while nothing changes: comparing pointers is quicker.
  if (standing_ != nullptr && standing_->info->SameIdentity(info)) return standing_->info;
  return std::make_shared<const EngineInfo>(std::move(info));
}

void ClamdServer::LogReady(const Standing& standing) const {
  log_.Info("clamd ready", {{"server", name()},
                            {"version", standing.version.text},
                            {"sends", client_.sends_descriptors() ? "descriptors" : "bytes"},
                            {"tells_limits", standing.abilities.tells_limits},
                            {"tells_encryption", standing.abilities.tells_encryption},
                            {"largest", standing.abilities.largest}});
  if (!standing.abilities.tells_limits || !standing.abilities.tells_encryption) {
    log_.Warning("clamd calls clean what it did not look into: archives over its limits, encrypted ones",
                 {{"server", name()}, {"cure", "AlertExceedsMax yes and AlertEncrypted yes in its clamd.conf"}});
  }
  if (standing.abilities.largest < settings_.max_file_size) {
    log_.Warning("clamd takes smaller files only", {{"server", name()},
                                                    {"largest", standing.abilities.largest},
                                                    {"wanted", settings_.max_file_size},
                                                    {"cure", "raise MaxFileSize, MaxScanSize and StreamMaxLength"}});
  }
  if (!standing.version.daily) {
    log_.Warning("clamd does not say which signatures it has: they count as new every day", {{"server", name()}});
  }
}

void ClamdServer::MarkUp(Standing standing) {
  standing_ = std::make_shared<const Standing>(std::move(standing));
  trouble_.clear();
  suspect_ = false;
  up_ = true;
  on_change_();
}

void ClamdServer::MarkDown(const std::string& why) {
  if (trouble_ != why) log_.Warning("clamd not used", {{"server", name()}, {"error", why}});
  trouble_ = why;
  standing_ = nullptr;
  up_ = false;
  std::exchange(down_, std::make_shared<aio::Broadcast<Error>>())->Set(Error{Errc::kDisconnected, why});
  on_change_();
}

void ClamdServer::OnFailure(const Error& error) {
  if (standing_ == nullptr) return;
  breaker_.OnScanFailed();
  if (!breaker_.is_closed()) return MarkDown(error.what);
  suspect_ = true;
  Poke();
}

aio::Task<Result<ClamdServer::Judgement>> ClamdServer::Judge(int content, std::uint64_t size, SteadyTime deadline) {
  using namespace asio::experimental::awaitable_operators;
  const auto down = down_;
  const auto first = co_await (JudgeOn(standing_, content, size) || down->Wait(deadline));
  if (first.index() == 1) {
    if (const auto& error = std::get<1>(first); error) {
      co_return Fail(Errc::kDisconnected, fmt::format("given up during the scan: {}", error->what));
    }
    co_return Fail(Errc::kTimeout, "the scan passed its deadline");
  }
  const Result<Judgement>& judgement = std::get<0>(first);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    co_return Fail(Errc::kCancelled, "nobody waits for this scan any more");
  }
  if (!judgement) {
    OnFailure(judgement.error());
  } else {
    breaker_.OnScanned();
  }
  co_return judgement;
}

aio::Task<Result<ClamdServer::Judgement>> ClamdServer::JudgeOn(StandingPtr before, int content, std::uint64_t size) {
  const auto reply = co_await client_.Scan(content, size);
  if (!reply) {
    // Its own time-outs are failures like others; only the caller's deadline is one.
    const Errc code = reply.error().code == Errc::kTimeout ? Errc::kDisconnected : reply.error().code;
    co_return Fail(code, reply.error().what);
  }
  if (reply->finding == wire::ClamdFinding::kError) co_return Judgement{*reply, before->info};
  const auto after = co_await client_.Version();
  if (!after) {
    co_return Fail(Errc::kDisconnected, fmt::format("it scanned but does not say with what: {}", after.error().what));
  }
  last_heard_ = clock_.SteadyNow();
  if (*after == before->version) co_return Judgement{*reply, before->info};
  Poke();
  const wire::ClamdVersion* const older = OlderOf(before->version, *after);
  if (older == nullptr) co_return Fail(Errc::kDisconnected, "it changed its signatures during the scan");
  if (older == &*after) co_return Judgement{*reply, Describe(*after, before->abilities)};
  co_return Judgement{*reply, before->info};
}

}  // namespace lazaret::clamav
