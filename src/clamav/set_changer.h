#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "clamav/scanner_pool.h"
#include "clamav/signature_loader.h"
#include "clamav/signature_status.h"
#include "clamav/signature_store.h"
#include "core/load_turn.h"

namespace lazaret::clamav {

// Whether two sets may be in memory at once.
enum class ReloadMode { kAuto, kBeside, kDrain };

// The status that other threads read while it is being changed. Thread-safe.
class StatusBoard {
 public:
  SignatureStatus Get() const {
    std::lock_guard lock(mutex_);
    return status_;
  }
  template <class Change>
  void Update(Change change) {
    std::lock_guard lock(mutex_);
    change(status_);
  }

 private:
  mutable std::mutex mutex_;
  SignatureStatus status_;
};

struct ChangeSettings {
  ReloadMode mode = ReloadMode::kAuto;
  std::uint64_t memory_reserve = 0;  // bytes that must stay free beside two sets
  ComparisonSettings comparison;
  milliseconds settle = seconds(2);  // before files are read again that were changed while they were read
  std::filesystem::path memory_root = "/";
};

// Moves the pool from one signature set to another, and back when the other is no good. One executor, one call at a
// time.
class SetChanger {
 public:
  // True: another set is in use. False: it was in use already.
  using Outcome = std::expected<bool, Refusal>;

  SetChanger(ChangeSettings settings, SignatureStore store, SignatureLoader& loader, ScannerPool& pool,
             StatusBoard& status, aio::BlockingPool& disk, const Clock& clock, Log& log);

  // The set that the source holds now, read `by` links or copies at first. Not `strict`: without a comparison to the
  // set in use. `ask`, which may be empty, is asked first, unless nothing is in use.
  aio::Task<Outcome> LoadSource(SnapshotBy by, bool strict, AskForTurn ask);
  // The previous set, which stays until the source holds another one than that which is left. There must be one. Waits
  // for a turn only where scans would have to wait, too.
  aio::Task<Outcome> GoBack(std::string reason, AskForTurn ask);
  // The set that was in use last, or the one before it: for when nothing is in use.
  aio::Task<Outcome> LoadKept();
  // Whoever waits for a turn in LoadSource waits no longer: something more urgent has come.
  void GiveUpWaiting() { gives_up_waiting_ = true; }
  // What was gone back from may be loaded again.
  aio::Task<> LiftPin();

  const SignatureStore& store() const { return store_; }
  // The set that the last LoadSource was about; empty when it did not come so far.
  const std::optional<Digest>& tried() const { return tried_; }

 private:
  enum class How { kStart, kBeside, kDrain };
  struct Change;

  // `left`: the set that this one was gone back to from, if any.
  aio::Task<std::expected<LoadedSet, Refusal>> Bring(SignatureSnapshot snapshot, bool strict, AskForTurn ask = {},
                                                     std::optional<Digest> left = std::nullopt);
  aio::Task<std::expected<std::unique_ptr<LoadTurn>, Refusal>> WaitForTurn(AskForTurn ask, Digest candidate);
  aio::Task<std::expected<How, Refusal>> ChooseHow(const SignatureSnapshot& snapshot);
  template <class T>
  aio::Task<std::optional<T>> Unless(std::function<bool()> is_over, aio::Task<T> task);
  bool IsLost() const { return !pool_.IsServing(); }
  aio::Task<Outcome> LoadOnce(SnapshotBy by, bool strict);
  std::optional<SetMeasure> MeasureOfCurrent() const;
  void Adopt(const LoadedSet& set, How how);
  aio::Task<> Remember(const LoadedSet& set);
  void SetPhase(LoadPhase phase);
  void ShowStore();

  const ChangeSettings settings_;
  SignatureStore store_;
  SignatureLoader& loader_;
  ScannerPool& pool_;
  StatusBoard& status_;
  aio::BlockingPool& disk_;
  const Clock& clock_;
  Log& log_;
  std::optional<SetMeasure> measure_;  // of the set in use
  std::optional<milliseconds> last_load_;
  std::optional<Digest> tried_;
  bool gives_up_waiting_ = false;
};

}  // namespace lazaret::clamav
