#pragma once

#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "clamav/zygote.h"
#include "core/telemetry.h"
#include "wire/scanner_protocol.h"

namespace lazaret::clamav {

// What every part around the scanner processes works with. `executor` is that of `tasks`, and all of it outlives them.
struct ScannerParts {
  aio::Executor executor;
  aio::TaskGroup& tasks;
  const Clock& clock;
  Log& log;
  Telemetry& telemetry;
};

// One signature set in memory: a zygote that has loaded it and the scanners that it forked, which are replaced when
// they crash, hang or grow old. From Spawn over Load and Serve to End. One executor. Destroying it kills every process
// of it.
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  using ScannerPtr = std::shared_ptr<ScannerProcess>;  // the generation's, and the scan's that it is working on

  struct Settings {
    std::filesystem::path program;  // lazaret-scanner
    wire::LoadRequest load;         // all of it: the directory for temporary files is no other generation's
    int nice = 0;                   // while it loads
    std::shared_ptr<const void> temp_claim = nullptr;  // kept as long as that directory is in use
  };

  // On a thread that lives longest (see Zygote::Spawn).
  static Result<std::shared_ptr<Generation>> Spawn(Settings settings, const ScannerParts& parts);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Loads the signatures. With the zygote's words kCorrupt when they cannot be loaded and kUnavailable when it cannot;
  // kDisconnected with the manner of its end when it died, kTimeout at `deadline`. After a failure only End may be
  // called.
  aio::Task<Result<wire::Ready>> Load(SteadyTime deadline);
  // Forks the scanners and keeps them up from now on.
  void Serve();
  // Until the first scanner, or all of them, can be taken. kTimeout, or kDisconnected when the zygote died.
  aio::Task<Result<void>> WaitForScanners(std::size_t count, SteadyTime deadline);

  // `on_idle`: a scanner can be taken. `on_death`: the zygote has died, which End is no case of. Neither may destroy
  // the generation.
  void Notify(std::function<void()> on_idle, std::function<void(const Error&)> on_death);

  // SIGKILL, for a zygote that hangs; End is still to be called.
  void Kill() { zygote_->Kill(); }

  // Null when all scanners are busy. What is taken is given back, or killed, and released.
  ScannerPtr TakeIdle();
  // In good order; `is_old` when it is to be replaced.
  void Return(const ScannerPtr& scanner, bool is_old);
  // The last call for each scanner that was taken.
  void Release();

  // No scanner is replaced any more. Returns when all that were taken have been released.
  aio::Task<> Retire();
  // Ends every process. Returns when they have gone.
  aio::Task<> End();

  std::size_t idle() const { return idle_.size(); }
  bool has_ended() const { return ended_; }
  int zygote_pid() const { return zygote_->pid(); }

 private:
  Generation(Settings settings, const ScannerParts& parts, std::unique_ptr<Zygote> zygote);

  static aio::Task<> Run(std::shared_ptr<Generation> self);
  static aio::Task<> Watch(std::shared_ptr<Generation> self);
  static aio::Task<> RequestForkLater(std::shared_ptr<Generation> self, std::uint32_t slot);
  Result<void> OnMessage(Packet packet);
  void OnForked(const wire::Forked& forked, std::vector<UniqueFd> fds);
  void OnExited(const wire::Exited& exited);
  void RequestFork(std::uint32_t slot);
  void DropScanners();
  void WakeWaiters();

  const Settings settings_;
  const ScannerParts parts_;
  std::unique_ptr<Zygote> zygote_;
  std::vector<ScannerPtr> scanners_;  // by slot; null while there is none
  std::vector<ScannerPtr> idle_;      // the most recently used last: its memory is warm
  std::size_t taken_ = 0;
  bool retiring_ = false;
  bool ended_ = false;                 // by us or by itself
  bool heard_since_watch_ = false;     // anything from the zygote
  boost::asio::steady_timer changed_;  // cancelled whenever a wait may be over
  std::function<void()> on_idle_;
  std::function<void(const Error&)> on_death_;
};
using GenerationPtr = std::shared_ptr<Generation>;

}  // namespace lazaret::clamav
