#pragma once

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "aio/blocking_pool.h"
#include "aio/broadcast.h"
#include "aio/resolver.h"
#include "base/clock.h"
#include "base/log.h"
#include "clamav/avoidance.h"
#include "clamav/circuit_breaker.h"
#include "clamav/clamd_address.h"
#include "clamav/clamd_examination.h"
#include "core/verdict.h"

namespace lazaret::clamav {

struct ClamdServerSettings {
  std::size_t connections = 8;      // scans at once on each server
  std::uint64_t max_file_size = 0;  // larger contents are never sent; at least 64 KiB
  milliseconds connect_timeout{3'000};
  milliseconds answer_timeout{10'000};
  milliseconds check_interval{5'000};
  bool require_alerts = true;  // use no server without AlertExceedsMax and AlertEncrypted
};

// One clamd of the pool: watches it, examines it before it is used and each time after it failed or was away, and has
// it scan. Where its name leads to several, one of them: contents go to the very one that was examined. One executor,
// but for what is said to be thread-safe.
class ClamdServer {
 public:
  // What is known about a server that may be used.
  struct Standing {
    ClamdClient client;
    wire::ClamdVersion version;
    ClamdAbilities abilities;
    EngineInfoPtr info;  // of `version`
  };
  using StandingPtr = std::shared_ptr<const Standing>;

  // What it said about a content, and the signatures it said it with: never newer ones than were used.
  struct Judgement {
    wire::ClamdScanReply reply;
    EngineInfoPtr info;
  };

  // A place among the server's connections.
  class Lease {
   public:
    explicit Lease(ClamdServer& server) : server_(&server) { ++server_->in_flight_; }
    Lease(Lease&& other) noexcept : server_(std::exchange(other.server_, nullptr)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (server_ == nullptr) return;
      --server_->in_flight_;
      server_->on_change_();
    }
    ClamdServer& server() const { return *server_; }

   private:
    ClamdServer* server_;
  };

  // `on_change` is called whenever something has changed by which servers are chosen.
  ClamdServer(ClamdAddress address, const ClamdServerSettings& settings, const aio::Executor& executor,
              aio::BlockingPool& disk, aio::Resolver& resolver, const Clock& clock, Log& log,
              std::function<void()> on_change);

  // Checks the server until the caller is cancelled.
  aio::Task<> Watch();

  // Null while it may not be used.
  const StandingPtr& standing() const { return standing_; }
  // Why it may not.
  const std::string& trouble() const { return trouble_; }
  // It failed or was silent, and may have been started again as another one: until it has been examined it is given no
  // contents, though it may keep its standing.
  bool is_suspect() const { return suspect_; }
  // Others are to be preferred for a while.
  bool is_avoided() const { return avoidance_.Holds(clock_.SteadyNow(), in_flight_ > 0); }
  bool is_full() const { return in_flight_ >= settings_.connections; }
  bool is_up() const { return up_; }                    // any thread
  std::size_t in_flight() const { return in_flight_; }  // any thread
  std::string name() const { return address_.Text(); }

  // Only while there is a standing and no suspicion. kTimeout when `deadline` passed first; an error that IsOurFault
  // ends the scan; every other one says that another server should be asked: kUnavailable when this one cannot have
  // seen the content.
  aio::Task<Result<Judgement>> Judge(int content, std::uint64_t size, SteadyTime deadline);

 private:
  // Who is to be blamed when there is no judgement.
  enum class Blame : std::uint8_t { kNobody, kLoad, kServer };
  struct Outcome {
    Result<Judgement> judgement;
    Blame blame = Blame::kNobody;
  };

  aio::Task<Outcome> JudgeOn(StandingPtr before, int content, std::uint64_t size);
  void Learn(const Outcome& outcome);

  // Both return how long to wait until the next time.
  aio::Task<milliseconds> Look();
  milliseconds OnBadCheck(const Error& error, SteadyTime start);
  milliseconds PauseWhileDown();
  aio::Task<Result<Standing>> Examine(StandingPtr before, std::uint64_t known_largest);

  void Poke();
  void Suspect();
  void MarkUp(Standing standing);
  void MarkDown(const std::string& why);
  void SetTrouble(const std::string& why);
  void LogReady(const Standing& standing) const;
  EngineInfoPtr Describe(const wire::ClamdVersion& version, const ClamdAbilities& abilities) const;

  const ClamdAddress address_;
  const ClamdServerSettings settings_;
  aio::BlockingPool& disk_;
  aio::Resolver& resolver_;
  const Clock& clock_;
  Log& log_;
  const std::function<void()> on_change_;
  CircuitBreaker breaker_;
  Avoidance avoidance_;
  std::minstd_rand random_{std::random_device{}()};
  boost::asio::steady_timer wake_;
  bool poked_ = false;  // to be checked now
  bool suspect_ = false;
  std::uint64_t suspicions_ = 0;  // that have come up so far
  SteadyTime last_heard_;         // when VERSION was last answered
  StandingPtr standing_;
  std::string trouble_ = "it has not answered yet";
  std::shared_ptr<aio::Broadcast<Error>> down_ = std::make_shared<aio::Broadcast<Error>>();  // of this standing
  std::atomic<bool> up_ = false;
  std::atomic<std::size_t> in_flight_ = 0;
};

}  // namespace lazaret::clamav
