#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "core/override_board.h"
#include "core/override_store.h"
#include "embedded/sqlite.h"

namespace lazaret::embedded {

// The overrides of a server of its own, in one SQLite file; each change is synced. Those that are over are forgotten at
// the next change.
class SqliteOverrides final : public OverrideStore {
 public:
  struct Settings {
    std::string path;
    std::size_t max_entries = 10'000;  // in force at once
  };

  // Blocks on the disk; `board` has them all when it returns. A file that is damaged, another program's or a newer
  // Lazaret's is an error that says what to do: what an operator has denied must not come in because a disk failed. The
  // references must outlive the store.
  static Result<std::unique_ptr<SqliteOverrides>> Open(Settings settings, OverrideBoard& board,
                                                       aio::BlockingPool& disk);

  aio::Task<Result<void>> Put(Override entry) override;
  aio::Task<Result<void>> Remove(Digest id) override;
  // Nobody else changes them.
  aio::Task<Result<void>> Refresh() override { co_return Result<void>(); }

 private:
  SqliteOverrides(Settings settings, OverrideBoard& board, aio::BlockingPool& disk, SqliteConnection connection)
      : settings_(std::move(settings)), board_(board), disk_(disk), connection_(std::move(connection)) {}

  Result<std::vector<Override>> ReadAll();
  Result<void> PutNow(const Override& entry);
  Result<void> WriteRow(const Override& entry);
  Result<void> ForgetExpired();
  Result<void> RemoveNow(const Digest& id);

  const Settings settings_;
  OverrideBoard& board_;
  aio::BlockingPool& disk_;
  std::mutex mutex_;  // guards the connection, and the order of what the board is told
  SqliteConnection connection_;
};

}  // namespace lazaret::embedded
