#pragma once

#include <boost/asio/steady_timer.hpp>

#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/resolver.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "clamav/clamd_server.h"
#include "core/engine.h"

namespace lazaret::clamav {

struct ClamdPoolSettings {
  std::vector<ClamdAddress> addresses;  // at least one, none twice
  ClamdServerSettings server;
  int attempts = 3;  // servers that one content is shown to before it is unscannable
};

// The engine that has others scan: one or more clamd servers, each of which is watched, examined and, when it fails,
// left alone for a while. A content goes to the server that is up with the fewest scans of ours on it, and to another
// one when that fails before its verdict; servers whose last scans ended in errors come after the others. What is not
// exactly a verdict of clamd's is never one. Our own failures (IsOurFault) end the scan and are blamed on no server.
//
// Current() is the identity of the newest signature set, by daily database, among the servers that are up (of equal
// ones, of the server that was named first). A verdict carries the identity of the server that judged: while servers
// differ, verdicts of the older ones are stale as soon as they are made, and scanned again when they are asked for
// again. Which set a server judged with is what VERSION said before the scan and after it; where the two differ, the
// older one.
//
// Contents over `max_file_size`, or over what every server that is up is known to look into, are unscannable without
// being sent. One executor, but for what Engine calls thread-safe.
class ClamdPool final : public Engine {
 public:
  // Of one server, for metrics.
  struct Status {
    std::string name;
    bool up;
    std::size_t in_flight;
  };

  ClamdPool(ClamdPoolSettings settings, aio::Executor executor, aio::BlockingPool& disk, const Clock& clock, Log& log,
            aio::Lookup lookup = aio::LookUp);
  ~ClamdPool() override;

  // Starts to look for the servers; Current() is null until one is ready.
  void Start();
  // Closes every connection. Call before the executor stops.
  aio::Task<> Stop();

  EngineInfoPtr Current() const override;
  std::string NotReadyReason() const override;
  std::size_t Slots() const override { return settings_.addresses.size() * settings_.server.connections; }
  // clamd goes on scanning.
  bool EndsCancelledScans() const override { return false; }
  aio::Task<Result<Verdict>> Scan(ContentPtr content, SteadyTime deadline) override;

  std::vector<Status> Servers() const;  // any thread

 private:
  using Tried = std::set<const ClamdServer*>;

  // Something has changed: who is up, or how busy.
  void OnChange();
  // Returns when something has changed, or at `deadline`; false when the caller was cancelled.
  aio::Task<bool> WaitForChange(SteadyTime deadline);
  // Null when those that are to be preferred are full, or have to be examined first.
  ClamdServer* Choose(std::uint64_t size, const Tried& tried) const;
  bool AnyTakes(std::uint64_t size) const;
  // kTooLarge when no server that is up takes contents of that size.
  aio::Task<Result<ClamdServer::Lease>> Acquire(std::uint64_t size, const Tried& tried, SteadyTime deadline);

  const ClamdPoolSettings settings_;
  const aio::Executor executor_;
  const Clock& clock_;
  Log& log_;
  aio::Resolver resolver_;
  aio::TaskGroup tasks_;
  std::vector<std::unique_ptr<ClamdServer>> servers_;
  std::list<std::shared_ptr<boost::asio::steady_timer>> waiters_;
  bool stopping_ = false;

  mutable std::mutex mutex_;  // guards what other threads read
  EngineInfoPtr current_;
  std::string not_ready_reason_;
};

}  // namespace lazaret::clamav
