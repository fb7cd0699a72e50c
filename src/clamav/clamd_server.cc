#include "clamav/clamd_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "clamav/clamd_endpoints.h"

namespace lazaret::clamav {
namespace asio = boost::asio;

namespace {

constexpr milliseconds kOurPause{1'000};  // after a check that we could not make

}  // namespace

ClamdServer::ClamdServer(ClamdAddress address, const ClamdServerSettings& settings, const aio::Executor& executor,
                         aio::BlockingPool& disk, aio::Resolver& resolver, const Clock& clock, Log& log,
                         std::function<void()> on_change)
    : address_(std::move(address)),
      settings_(settings),
      disk_(disk),
      resolver_(resolver),
      clock_(clock),
      log_(log),
      on_change_(std::move(on_change)),
      breaker_({.silence = 2 * settings.answer_timeout}),
      wake_(executor) {}

aio::Task<> ClamdServer::Watch() {
  for (;;) {
    const milliseconds pause = co_await Look();
    wake_.expires_at(poked_ && breaker_.is_closed() ? SteadyTime::min() : clock_.SteadyNow() + pause);
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

void ClamdServer::Poke() {
  poked_ = true;
  // One that is down is left alone until its pause is over.
  if (breaker_.is_closed()) wake_.expires_at(SteadyTime::min());
}

void ClamdServer::Suspect() {
  suspect_ = true;
  ++suspicions_;
  Poke();
}

milliseconds ClamdServer::PauseWhileDown() {
  return breaker_.Pause(std::uniform_real_distribution<double>(0, 1)(random_));
}

aio::Task<milliseconds> ClamdServer::Look() {
  const SteadyTime start = clock_.SteadyNow();
  const bool was_poked = std::exchange(poked_, false);
  const StandingPtr before = standing_;
  std::uint64_t known_largest = 0;
  if (before != nullptr) {
    // A scan that went well was as good as a check.
    const bool is_due = was_poked || suspect_ || start - last_heard_ >= settings_.check_interval;
    if (!is_due) co_return settings_.check_interval;
    const auto version = co_await before->client.Check();
    if (standing_ == nullptr) co_return PauseWhileDown();  // scans have failed meanwhile
    if (!version) co_return OnBadCheck(version.error(), start);
    last_heard_ = clock_.SteadyNow();
    if (!suspect_ && version->text == before->version.text) {
      MarkUp(Standing{before->client, *version, before->abilities, Describe(*version, before->abilities)});
      co_return settings_.check_interval;
    }
    // With another engine it has been started again. Else its signatures may have changed, but not its configuration.
    if (version->engine != before->version.engine) Suspect();
    if (!suspect_ && !was_poked) known_largest = before->abilities.largest;
  }
  poked_ = false;
  const std::uint64_t suspicions = suspicions_;
  auto standing = co_await Examine(before, known_largest);
  if (before != nullptr && standing_ == nullptr) co_return PauseWhileDown();
  if (!standing) co_return OnBadCheck(standing.error(), start);
  last_heard_ = clock_.SteadyNow();
  LogReady(*standing);
  breaker_.OnExamined();
  // What has come up meanwhile may not have been there to be seen.
  suspect_ = suspicions_ != suspicions;
  MarkUp(*std::move(standing));
  co_return settings_.check_interval;
}

milliseconds ClamdServer::OnBadCheck(const Error& error, SteadyTime start) {
  if (IsOurFault(error)) {
    SetTrouble(error.what);
    on_change_();
    return kOurPause;
  }
  if (standing_ != nullptr && error.code == Errc::kTimeout) {
    breaker_.OnSlow(std::chrono::floor<milliseconds>(clock_.SteadyNow() - start));
    if (breaker_.is_closed()) {
      Suspect();
      return milliseconds(0);
    }
  } else {
    breaker_.OnRefused();
  }
  MarkDown(error.what);
  return PauseWhileDown();
}

aio::Task<Result<ClamdServer::Standing>> ClamdServer::Examine(StandingPtr before, std::uint64_t known_largest) {
  auto endpoints = co_await FindClamd(address_, resolver_, clock_.SteadyNow() + settings_.connect_timeout);
  if (!endpoints && before == nullptr) co_return std::unexpected(endpoints.error());
  // It has just answered: it stays the one, unless its name leads elsewhere now.
  if (before != nullptr &&
      (!endpoints || std::ranges::find(*endpoints, before->client.endpoint()) != endpoints->end())) {
    endpoints = {before->client.endpoint()};
  }
  Error last{Errc::kUnavailable, "its name leads nowhere"};
  for (const ClamdEndpoint& endpoint : *endpoints) {
    const bool is_known = before != nullptr && before->client.endpoint() == endpoint;
    const ClamdTimeouts timeouts{.connect = settings_.connect_timeout, .answer = settings_.answer_timeout};
    const auto examined =
        co_await ExamineClamd(is_known ? before->client : ClamdClient(endpoint, timeouts, disk_),
                              {.max_file_size = settings_.max_file_size, .require_alerts = settings_.require_alerts},
                              is_known ? known_largest : 0, clock_);
    if (examined) {
      co_return Standing{examined->client, examined->version, examined->abilities,
                         Describe(examined->version, examined->abilities)};
    }
    last = examined.error();
    if (endpoints->size() > 1) last.what = fmt::format("{}: {}", TextOf(endpoint), last.what);
    if (IsOurFault(last)) break;
  }
  co_return std::unexpected(last);
}

EngineInfoPtr ClamdServer::Describe(const wire::ClamdVersion& version, const ClamdAbilities& abilities) const {
  auto info = DescribeClamd(version, abilities, settings_.max_file_size, clock_.Now());
  // The pointer stays while nothing changes: comparing pointers is quicker.
  if (standing_ != nullptr && standing_->info->SameIdentity(info)) return standing_->info;
  return std::make_shared<const EngineInfo>(std::move(info));
}

void ClamdServer::LogReady(const Standing& standing) const {
  log_.Info("clamd ready", {{"server", name()},
                            {"at", TextOf(standing.client.endpoint())},
                            {"version", standing.version.text},
                            {"sends", standing.client.sends_descriptors() ? "descriptors" : "bytes"},
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
  up_ = true;
  on_change_();
}

void ClamdServer::MarkDown(const std::string& why) {
  SetTrouble(why);
  standing_ = nullptr;
  suspect_ = false;
  up_ = false;
  std::exchange(down_, std::make_shared<aio::Broadcast<Error>>())->Set(Error{Errc::kDisconnected, why});
  on_change_();
}

void ClamdServer::SetTrouble(const std::string& why) {
  if (trouble_ != why) {
    log_.Warning(breaker_.is_closed() ? "clamd not checked" : "clamd not used", {{"server", name()}, {"error", why}});
  }
  trouble_ = why;
}

aio::Task<Result<ClamdServer::Judgement>> ClamdServer::Judge(int content, std::uint64_t size, SteadyTime deadline) {
  using namespace asio::experimental::awaitable_operators;
  const auto down = down_;
  const StandingPtr before = standing_;
  const auto first = co_await (JudgeOn(before, content, size) || down->Wait(deadline));
  if (first.index() == 1) {
    if (const auto& error = std::get<1>(first); error) {
      co_return Fail(Errc::kDisconnected, fmt::format("given up during the scan: {}", error->what));
    }
    co_return Fail(Errc::kTimeout, "the scan passed its deadline");
  }
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    co_return Fail(Errc::kCancelled, "nobody waits for this scan any more");
  }
  const Outcome& outcome = std::get<0>(first);
  // Its name may lead elsewhere by now.
  const bool is_current = standing_ == nullptr || standing_->client.endpoint() == before->client.endpoint();
  if (is_current) Learn(outcome);
  co_return outcome.judgement;
}

void ClamdServer::Learn(const Outcome& outcome) {
  const SteadyTime now = clock_.SteadyNow();
  if (outcome.judgement) {
    breaker_.OnScanned();
    const bool is_verdict = outcome.judgement->reply.finding != wire::ClamdFinding::kError;
    return is_verdict ? avoidance_.OnVerdict() : avoidance_.OnError(now);
  }
  switch (outcome.blame) {
    case Blame::kNobody: return;
    case Blame::kLoad:
      avoidance_.OnBusy(now);
      if (standing_ != nullptr) Poke();
      return;
    case Blame::kServer: break;
  }
  avoidance_.OnError(now);
  if (standing_ == nullptr) return;
  breaker_.OnScanFailed();
  if (!breaker_.is_closed()) return MarkDown(outcome.judgement.error().what);
  Suspect();
}

aio::Task<ClamdServer::Outcome> ClamdServer::JudgeOn(StandingPtr before, int content, std::uint64_t size) {
  const auto failed = [](const Error& error, Errc code) {
    Outcome outcome{std::unexpected(error), IsOurFault(error) ? Blame::kNobody : Blame::kServer};
    if (outcome.blame != Blame::kNobody) outcome.judgement = Fail(code, error.what);
    return outcome;
  };
  const std::uint64_t suspicions = suspicions_;
  auto connection = co_await before->client.Connect();
  if (!connection) {
    Outcome outcome = failed(connection.error(), Errc::kUnavailable);
    if (connection.error().code == Errc::kTimeout) outcome.blame = Blame::kLoad;
    co_return outcome;
  }
  // Whoever has accepted it may be another one than the one that is known.
  if (suspicions_ != suspicions)
    co_return Outcome{Fail(Errc::kUnavailable, "it failed meanwhile, and has to be examined first")};
  const auto reply = co_await before->client.Scan(*std::move(connection), content, size);
  if (!reply) {
    // Its own time-outs are failures like others; only the caller's deadline is one.
    const Errc code = reply.error().code == Errc::kTimeout ? Errc::kDisconnected : reply.error().code;
    co_return failed(reply.error(), code);
  }
  if (reply->finding == wire::ClamdFinding::kError) co_return Outcome{Judgement{*reply, before->info}};
  const auto after = co_await before->client.Version();
  if (!after) {
    Outcome outcome = failed(after.error(), Errc::kDisconnected);
    if (after.error().code == Errc::kTimeout) outcome.blame = Blame::kLoad;
    outcome.judgement.error().what = fmt::format("it scanned but does not say with what: {}", after.error().what);
    co_return outcome;
  }
  last_heard_ = clock_.SteadyNow();
  if (*after == before->version) co_return Outcome{Judgement{*reply, before->info}};
  if (after->engine != before->version.engine) {
    co_return failed({Errc::kDisconnected, "it was started again during the scan, with another engine"},
                     Errc::kDisconnected);
  }
  if (standing_ != nullptr && *after != standing_->version) Poke();
  const wire::ClamdVersion* const older = OlderOf(before->version, *after);
  if (older == nullptr) {
    co_return failed({Errc::kDisconnected, "it changed its signatures during the scan"}, Errc::kDisconnected);
  }
  const EngineInfoPtr info = older == &*after ? Describe(*after, before->abilities) : before->info;
  co_return Outcome{Judgement{*reply, info}};
}

}  // namespace lazaret::clamav
