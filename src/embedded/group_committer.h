#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "aio/broadcast.h"
#include "base/clock.h"
#include "base/log.h"
#include "embedded/sqlite.h"

namespace lazaret::embedded {

// What belongs to every transaction of a GroupCommitter and must follow its fate. Called on the committer's thread
// only.
class TransactionParticipant {
 public:
  virtual ~TransactionParticipant() = default;

  // Before each turn: whether there is something to write although nobody has queued anything.
  virtual bool WantsTransaction() = 0;
  virtual void OnBegin() = 0;
  // A part of the transaction begins; it may be undone, alone, down to here. Parts do not nest.
  virtual void OnPart() = 0;
  virtual void OnPartUndone() = 0;
  // Its own part of the transaction, behind all others. Uses GroupCommitter::Attempt for what may fail.
  virtual void Contribute() = 0;
  // The transaction is on the disk, or everything since OnBegin is undone. Before anybody hears of it.
  virtual void OnEnd(const Result<void>& committed) = 0;
  // A part has failed with kCorrupt.
  virtual void OnDamage(const Error& error) = 0;
  // When it wants a turn although nobody has queued anything; SteadyTime::max() for never.
  virtual SteadyTime NextTurn() = 0;
};

// The one thread that writes a database. Whatever was queued while it waited for the disk goes into its next
// transaction; a change that fails undoes only itself. Waits without a timer when there is nothing to wait for.
class GroupCommitter {
 public:
  struct Limits {
    std::size_t max_queued;         // bounded changes that wait
    std::int64_t wal_pages = 4000;  // longer: it is checkpointed; four times as long: readers are waited for
  };
  struct Counts {
    std::uint64_t changes = 0;  // that were committed
    std::uint64_t groups = 0;   // transactions that held them
  };
  // Whether a change may be refused when many wait already.
  enum class Admission { kBounded, kAlways };

  // The references must outlive the committer; the connection is its alone. Start begins.
  GroupCommitter(SqliteConnection& connection, TransactionParticipant& participant, Limits limits, const Clock& clock,
                 Log& log);
  ~GroupCommitter() { Finish(); }
  void Start();
  // Commits what is queued and ends the thread. Nobody may use the committer meanwhile or later.
  void Finish();

  // Runs `change`, which returns a Result, in a part of its own of the next transaction; resumes the caller with what
  // it returned once that is on the disk, or with the error that undid it. `change` and what it holds are destroyed
  // then. `bytes` is about what it writes. kOverloaded at once when too many wait. May be cancelled; `change` is run
  // all the same. Any executor.
  template <class Change>
  aio::Task<std::invoke_result_t<Change&>> Run(Change change, Admission admission, std::size_t bytes = 0) {
    using Outcome = std::invoke_result_t<Change&>;
    struct State {
      explicit State(Change c) : change(std::move(c)) {}
      std::optional<Change> change;
      std::optional<Outcome> outcome;
      aio::Broadcast<Outcome> ended;
    };
    const auto state = std::make_shared<State>(std::move(change));
    Queued queued{.run = [state]() -> Result<void> {
                    const Outcome& outcome = state->outcome.emplace((*state->change)());
                    if (!outcome) return std::unexpected(outcome.error());
                    return {};
                  },
                  .end =
                      [state](const Result<void>& committed) {
                        state->change.reset();
                        if (!committed) state->outcome.emplace(std::unexpected(committed.error()));
                        state->ended.Set(*std::move(state->outcome));
                      },
                  .admission = admission,
                  .bytes = bytes};
    if (auto added = Add(std::move(queued)); !added) co_return std::unexpected(added.error());
    auto outcome = co_await state->ended.Wait(SteadyTime::max());
    if (!outcome) co_return Fail(Errc::kCancelled, "cancelled while a change was being written");
    co_return *std::move(outcome);
  }

  // Runs `change` likewise; nobody waits for it. Any thread.
  void Post(std::move_only_function<Result<void>()> change);
  // Makes the participant be asked. Any thread.
  void Wake();

  // For the participant's Contribute: runs `part` as a part of its own.
  Result<void> Attempt(const std::function<Result<void>()>& part);

  Counts counts() const;

 private:
  struct Queued {
    std::move_only_function<Result<void>()> run;
    std::move_only_function<void(const Result<void>&)> end;
    Admission admission;
    std::size_t bytes;
    Result<void> outcome{};
  };

  Result<void> Add(Queued queued);
  void RunThread();
  std::vector<Queued> TakeGroup();
  void WriteGroup(std::vector<Queued>& group);
  Result<void> WriteInTransaction(std::vector<Queued>& group);
  void Checkpoint();

  SqliteConnection& connection_;
  TransactionParticipant& participant_;
  const Limits limits_;
  const Clock& clock_;
  Log& log_;
  std::int64_t next_checkpoint_;  // WAL pages
  // What ended the transaction in progress before its time: SQLite rolls all of it back after some failures.
  std::optional<Error> lost_;

  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Queued> queue_;
  std::size_t bounded_ = 0;  // of those that are queued or being written
  bool woken_ = false;
  bool stopping_ = false;
  Counts counts_;
  std::jthread thread_;  // last: it uses everything above
};

}  // namespace lazaret::embedded
