#pragma once

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "clamav/signature_snapshot.h"
#include "clamav/zygote.h"
#include "core/engine.h"
#include "core/telemetry.h"

namespace lazaret::clamav {

struct ScannerPoolSettings {
  std::filesystem::path scanner_program;      // lazaret-scanner
  std::filesystem::path signature_directory;  // where freshclam, or whoever, keeps the signatures
  bool test_set = false;                      // the built-in EICAR set instead of the directory
  std::filesystem::path state_directory;      // for snapshots and temporary directories; ours alone
  std::size_t slots = 1;                      // scanners at most
  int attempts = 3;                           // how often a content may crash a scanner
  std::uint64_t scans_per_scanner = 100;      // after that a scanner is replaced
  wire::LoadRequest limits;                   // the directories and slots in it are filled in by the pool
};

// The embedded engine: a zygote that holds the signatures and as many sandboxed scanners as there are slots. A
// scanner that crashes, hangs or grows old is replaced; a zygote that dies is started again and loads again. One
// executor, but for what Engine calls thread-safe. Start it on the thread that lives longest (see Zygote::Spawn).
class ScannerPool final : public Engine {
 public:
  struct Counts {
    std::size_t idle, busy, starting;
  };

  ScannerPool(ScannerPoolSettings settings, aio::Executor executor, aio::BlockingPool& disk, const Clock& clock,
              Log& log, Telemetry& telemetry);
  ~ScannerPool() override;

  // Starts loading; Current() is null until the signatures are ready.
  void Start();
  // Ends every scan and every process. Call before the executor stops.
  aio::Task<> Stop();

  EngineInfoPtr Current() const override;
  std::string NotReadyReason() const override;
  std::size_t Slots() const override { return settings_.slots; }
  aio::Task<Result<Verdict>> Scan(ContentPtr content, SteadyTime deadline) override;

  Counts counts() const;  // any thread

 private:
  using ScannerPtr = std::shared_ptr<ScannerProcess>;  // the pool's, and the scan's that it is working on
  class Lease;
  class Waiter;

  aio::Task<> Supervise();
  aio::Task<Error> RunZygote();
  std::filesystem::path TempDirectory() const;
  Result<SignatureSnapshot> MakeSnapshot() const;
  // The engine that is ready now, if that is what the message says.
  Result<EngineInfoPtr> OnMessage(const Zygote& zygote, const SignatureSnapshot& snapshot,
                                  const wire::LoadRequest& load, Packet packet);
  void LogReady(const EngineInfo& info, const wire::Ready& ready, int zygote);
  void Serve(EngineInfoPtr info);
  aio::Task<> WatchZygote();
  void OnForked(const wire::Forked& forked, std::vector<UniqueFd> fds);
  void OnExited(const wire::Exited& exited);
  void RequestFork(std::uint32_t slot);
  aio::Task<> RequestForkLater(std::uint32_t slot);
  void DropScanners();
  void SetNotReady(std::string reason);

  aio::Task<Result<ScannerPtr>> AcquireScanner(SteadyTime deadline);
  ScannerPtr TakeIdle();
  void ReturnScanner(const ScannerPtr& scanner, bool is_last);
  void WakeOneWaiter();
  Verdict ToVerdict(const wire::Outcome& outcome, ScanRecord record) const;

  const ScannerPoolSettings settings_;
  const aio::Executor executor_;
  aio::BlockingPool& disk_;
  const Clock& clock_;
  Log& log_;
  Telemetry& telemetry_;
  aio::TaskGroup tasks_;

  std::unique_ptr<Zygote> zygote_;
  std::vector<ScannerPtr> scanners_;  // by slot; null while there is none
  std::vector<ScannerPtr> idle_;      // the most recently used last: its memory is warm
  std::list<std::shared_ptr<boost::asio::steady_timer>> waiters_;
  EngineInfoPtr loaded_;              // until the first scanner is there
  bool stopping_ = false;
  bool heard_since_watch_ = false;  // anything from the zygote

  std::atomic<std::size_t> idle_count_ = 0;
  std::atomic<std::size_t> busy_count_ = 0;
  mutable std::mutex mutex_;  // guards what other threads read
  EngineInfoPtr current_;
  std::string not_ready_reason_;
};

}  // namespace lazaret::clamav
