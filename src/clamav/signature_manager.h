#pragma once

#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "aio/blocking_pool.h"
#include "aio/broadcast.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "clamav/detection_alarm.h"
#include "clamav/scanner_pool.h"
#include "clamav/set_changer.h"
#include "clamav/signature_files.h"
#include "clamav/signature_loader.h"
#include "clamav/signature_status.h"
#include "clamav/signature_watch.h"
#include "core/telemetry.h"

namespace lazaret::clamav {

struct SignatureSettings {
  std::filesystem::path directory;        // where freshclam, or whoever, keeps the signatures
  bool test_set = false;                  // the built-in EICAR set instead of the directory
  std::filesystem::path state_directory;  // for the sets that are kept; ours alone
  milliseconds settle = seconds(2);       // without a change before the directory is read
  milliseconds settle_limit = seconds(30);
  milliseconds check_interval = seconds(600);
  milliseconds retry_pause = seconds(60);  // after a passing refusal; doubled each time, up to check_interval
  ChangeSettings change;
  LoaderSettings loader;
  DetectionAlarmSettings alarm;
  bool roll_back_on_alarm = false;
};

// Keeps the scanner pool supplied with the signatures of a directory: watches it, loads what is new, refuses what is no
// good, goes back when told to. Runs on the pool's executor; what is said to be for any thread or executor is.
class SignatureManager {
 public:
  struct Change {
    bool changed;          // false: the set was in use already
    EngineInfoPtr engine;  // that is in use now
  };

  SignatureManager(SignatureSettings settings, ScannerPool& pool, aio::BlockingPool& disk, const Clock& clock, Log& log,
                   Telemetry& telemetry);
  ~SignatureManager();

  // Before Start: whom to ask before a set is loaded in the place of another one.
  void SetGate(AskForTurn ask) { ask_ = std::move(ask); }
  // On the thread that lives longest (see Zygote::Spawn).
  void Start();
  // Ends what is under way. Call before the pool is stopped.
  aio::Task<> Stop();

  SignatureStatus Status() const { return status_.Get(); }  // any thread

  // Reads the directory now, and returns when its set is in use or refused: kUnavailable with the reason. `force` also
  // takes a set that was refused or gone back from, or is far smaller than the one in use; not one that does not load
  // or that detects what is known to be clean. When the caller is cancelled it goes on all the same. Any executor.
  aio::Task<Result<Change>> Reload(bool force);
  // The same for the set before the one in use; kNotFound when none is kept. `reason` is for people. Any executor.
  aio::Task<Result<Change>> Rollback(std::string reason);
  // As Reload, for callers that do not wait. Any thread.
  void RequestReload();

 private:
  struct Order;

  aio::Task<> Run();
  aio::Task<> Work();
  aio::Task<> WatchDirectory();
  aio::Task<Result<void>> OpenStore();
  aio::Task<> StartUp();
  aio::Task<SetChanger::Outcome> FindStart();
  aio::Task<SetChanger::Outcome> LoadAndMark(bool strict);
  aio::Task<> Fulfil(std::shared_ptr<Order> order);
  aio::Task<Result<Change>> DoReload(bool force);
  aio::Task<Result<Change>> DoRollback(std::string reason);
  aio::Task<> Look(bool again);
  aio::Task<bool> HasChange(bool again);
  aio::Task<Result<Change>> LoadSource(bool strict);
  void Queue(std::shared_ptr<Order> order);
  aio::Task<Result<Change>> Place(std::shared_ptr<Order> order);
  void OnDeath(const Error& error);
  void OnVerdict(const Verdict& verdict);
  void Refuse(const std::optional<Digest>& digest, const Refusal& refusal);
  void Settle();
  void OnChanged(bool trusted);
  void Wake();
  SteadyTime NextWork() const;

  const SignatureSettings settings_;
  ScannerPool& pool_;
  aio::BlockingPool& disk_;
  const Clock& clock_;
  Log& log_;
  Telemetry& telemetry_;
  aio::TaskGroup tasks_;
  AskForTurn ask_;
  SignatureLoader loader_;
  StatusBoard status_;
  std::unique_ptr<SetChanger> changer_;  // once the store is open
  std::unique_ptr<SignatureWatch> watch_;
  DetectionAlarm alarm_;

  boost::asio::steady_timer work_;  // expires when there is something to do
  std::deque<std::shared_ptr<Order>> orders_;
  bool stopping_ = false;
  bool touched_ = false;  // the directory, since it was looked at
  std::optional<FileMarks> seen_;
  SnapshotBy snapshot_by_;
  SteadyTime next_look_{};
  std::optional<Digest> given_up_;  // refused for good
  std::optional<SteadyTime> retry_at_;
  milliseconds retry_pause_;
  std::optional<SteadyTime> start_at_;  // nothing is in use: when to try next
  milliseconds start_pause_;
  SteadyTime in_use_since_{};
};

}  // namespace lazaret::clamav
