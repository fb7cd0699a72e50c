#include "clamav/clamd_pool.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/exception.h"

namespace lazaret::clamav {
namespace asio = boost::asio;

namespace {

double MillisecondsSince(SteadyTime start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

Verdict ToVerdict(const wire::ClamdScanReply& reply, ScanRecord record) {
  switch (reply.finding) {
    case wire::ClamdFinding::kClean: return Verdict::Clean(std::move(record));
    case wire::ClamdFinding::kInfected: return Verdict::Infected(std::move(record), {reply.text});
    case wire::ClamdFinding::kLimitExceeded:
      return Verdict::Unscannable(std::move(record), Reason::kLimitExceeded, reply.text);
    case wire::ClamdFinding::kEncrypted: return Verdict::Unscannable(std::move(record), Reason::kEncrypted, reply.text);
    case wire::ClamdFinding::kError: break;
  }
  return Verdict::Unscannable(std::move(record), Reason::kEngineError, reply.text);
}

}  // namespace

ClamdPool::ClamdPool(ClamdPoolSettings settings, aio::Executor executor, aio::BlockingPool& disk, const Clock& clock,
                     Log& log, aio::Lookup lookup)
    : settings_(std::move(settings)),
      executor_(std::move(executor)),
      clock_(clock),
      log_(log),
      resolver_(std::move(lookup), settings_.addresses.size()),
      tasks_(executor_,
             [this](std::exception_ptr error) { log_.Error("clamd pool task failed", {{"error", WhatOf(error)}}); }),
      not_ready_reason_("no clamd server has answered yet") {
  for (const ClamdAddress& address : settings_.addresses) {
    servers_.push_back(std::make_unique<ClamdServer>(address, settings_.server, executor_, disk, resolver_, clock_,
                                                     log_, [this] { OnChange(); }));
  }
}

ClamdPool::~ClamdPool() = default;

void ClamdPool::Start() {
  for (const auto& server : servers_) tasks_.Spawn(server->Watch());
}

aio::Task<> ClamdPool::Stop() {
  stopping_ = true;
  OnChange();
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
}

EngineInfoPtr ClamdPool::Current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

std::string ClamdPool::NotReadyReason() const {
  std::lock_guard lock(mutex_);
  return not_ready_reason_;
}

std::vector<ClamdPool::Status> ClamdPool::Servers() const {
  std::vector<Status> all;
  for (const auto& server : servers_) all.push_back({server->name(), server->is_up(), server->in_flight()});
  return all;
}

void ClamdPool::OnChange() {
  const ClamdServer::Standing* newest = nullptr;
  std::string reason = "no clamd server can be used";
  for (const auto& server : servers_) {
    const ClamdServer::StandingPtr& standing = server->standing();
    if (standing == nullptr) {
      reason += fmt::format("; {}: {}", server->name(), server->trouble());
    } else if (newest == nullptr || IsNewer(standing->version, newest->version)) {
      newest = standing.get();
    }
  }
  {
    std::lock_guard lock(mutex_);
    current_ = newest == nullptr || stopping_ ? nullptr : newest->info;
    not_ready_reason_ = stopping_ ? "the server is ending" : std::move(reason);
  }
  for (const auto& timer : std::exchange(waiters_, {})) timer->expires_at(SteadyTime::min());
}

aio::Task<bool> ClamdPool::WaitForChange(SteadyTime deadline) {
  const auto timer = std::make_shared<asio::steady_timer>(executor_, deadline);
  waiters_.push_back(timer);
  co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
  std::erase(waiters_, timer);
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() == asio::cancellation_type::none;
}

bool ClamdPool::AnyTakes(std::uint64_t size) const {
  return std::ranges::any_of(servers_, [&](const auto& server) {
    return server->standing() != nullptr && server->standing()->abilities.largest >= size;
  });
}

ClamdServer* ClamdPool::Choose(std::uint64_t size, const Tried& tried) const {
  const EngineInfoPtr newest = Current();
  // A server that has failed this content already is asked again only when there is no other.
  const auto rank = [&](const ClamdServer& server) {
    return std::tuple(tried.contains(&server), server.is_suspect(), server.is_avoided(), server.is_full(),
                      server.in_flight(), server.standing()->info != newest);
  };
  ClamdServer* best = nullptr;
  for (const auto& server : servers_) {
    if (server->standing() == nullptr || server->standing()->abilities.largest < size) continue;
    if (best == nullptr || rank(*server) < rank(*best)) best = server.get();
  }
  return best == nullptr || best->is_suspect() || best->is_full() ? nullptr : best;
}

aio::Task<Result<ClamdServer::Lease>> ClamdPool::Acquire(std::uint64_t size, const Tried& tried, SteadyTime deadline) {
  for (;;) {
    if (Current() == nullptr) co_return Fail(Errc::kUnavailable, NotReadyReason());
    if (!AnyTakes(size)) co_return Fail(Errc::kTooLarge, "no clamd server that is up looks into contents of this size");
    if (clock_.SteadyNow() >= deadline) co_return Fail(Errc::kUnavailable, "no clamd connection became free in time");
    if (ClamdServer* const server = Choose(size, tried)) co_return ClamdServer::Lease(*server);
    if (!co_await WaitForChange(deadline)) co_return Fail(Errc::kCancelled, "nobody waits for this scan any more");
  }
}

aio::Task<Result<Verdict>> ClamdPool::Scan(ContentPtr content, SteadyTime deadline) {
  EngineInfoPtr engine = Current();
  if (engine == nullptr) co_return Fail(Errc::kUnavailable, NotReadyReason());
  const std::uint64_t size = content->size();
  SteadyTime start = clock_.SteadyNow();
  const auto record = [&] { return ScanRecord{engine, size, clock_.Now(), MillisecondsSince(start)}; };
  if (size > settings_.server.max_file_size) {
    co_return Verdict::Unscannable(record(), Reason::kLimitExceeded, "larger than clamd_pool.max_file_size");
  }
  const auto descriptor = content->Descriptor();
  if (!descriptor) co_return std::unexpected(descriptor.error());

  Tried tried;
  Error last{Errc::kUnavailable, ""};
  bool was_seen = false;
  for (int attempt = 1; attempt <= settings_.attempts; ++attempt) {
    auto lease = co_await Acquire(size, tried, deadline);
    if (!lease && lease.error().code == Errc::kTooLarge) {
      co_return Verdict::Unscannable(record(), Reason::kLimitExceeded, lease.error().what);
    }
    // Those that it was shown to have failed, and there is no other one now.
    if (!lease && was_seen && lease.error().code != Errc::kCancelled) break;
    if (!lease) co_return std::unexpected(lease.error());
    ClamdServer& server = lease->server();
    engine = server.standing()->info;
    start = clock_.SteadyNow();
    const auto judged = co_await server.Judge(*descriptor, size, deadline);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      co_return Fail(Errc::kCancelled, "nobody waits for this scan any more");
    }
    if (judged && judged->reply.finding != wire::ClamdFinding::kError) {
      engine = judged->info;
      co_return ToVerdict(judged->reply, record());
    }
    if (!judged && judged.error().code == Errc::kTimeout) {
      co_return Verdict::Unscannable(record(), Reason::kTimeout, judged.error().what);
    }
    if (!judged && IsOurFault(judged.error())) co_return std::unexpected(judged.error());
    last = judged ? Error{Errc::kInternal, "clamd: " + judged->reply.text} : judged.error();
    was_seen = was_seen || last.code != Errc::kUnavailable;
    tried.insert(&server);
    log_.Warning("clamd failed in a scan", {{"id", content->digest().Hex()},
                                            {"size", size},
                                            {"server", server.name()},
                                            {"attempt", attempt},
                                            {"error", last.what}});
  }
  // Nothing was found out about the content.
  if (!was_seen) co_return Fail(Errc::kUnavailable, last.what);
  co_return Verdict::Unscannable(record(), Reason::kEngineError, last.what);
}

}  // namespace lazaret::clamav
