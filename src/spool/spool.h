#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/gate.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "core/content.h"
#include "spool/budget.h"

namespace lazaret {

struct SpoolSettings {
  std::filesystem::path directory;     // for contents that memory has no room for; made when missing
  std::uint64_t max_content = 0;       // bytes of one content
  std::uint64_t memory_file_size = 0;  // contents up to this many bytes stay in memory
  std::uint64_t memory_budget = 0;     // bytes of all contents in memory; beyond it they go to files, too
  std::uint64_t disk_budget = 0;       // bytes of all contents in files
  std::uint64_t max_files = std::numeric_limits<std::uint64_t>::max();  // a descriptor each
};

class SpoolWriter;

// Lets one piece of a content go to the disk. Few are given out at a time, in the order of asking, so that what is on
// its way to the disk takes little memory however many contents wait for it.
using DiskTurn = aio::Gate::Seat;

// Makes writers and holds their budgets. Thread-safe; it and its pool outlive the writers and their contents.
class Spool {
 public:
  // An error names what is wrong with the directory and the cure. The files have no name (open(2), O_TMPFILE), so
  // nothing is left behind, however the process ends.
  static Result<std::unique_ptr<Spool>> Open(SpoolSettings settings, aio::BlockingPool& disk);

  // Whether a content of `size` bytes (of a small one when unknown) could be taken in now. kTooLarge when it never
  // could, kOverloaded when there is no room now: for refusing before the body is read.
  Result<void> CheckRoom(std::optional<std::uint64_t> size) const;

  // `expected_size` chooses the right place from the start; a wrong one only costs time.
  SpoolWriter NewWriter(std::optional<std::uint64_t> expected_size);

  // kOverloaded when there is none before `deadline`, kCancelled when the caller is. Whoever takes its turn before the
  // piece is read needs no memory while it waits.
  aio::Task<Result<DiskTurn>> TakeTurn(SteadyTime deadline);
  // Whether the next piece of a content that begins now may have to go to the disk.
  bool MayNeedTurn() const;

  std::uint64_t memory_used() const { return budgets_->memory.used(); }
  std::uint64_t disk_used() const { return budgets_->disk.used(); }
  // How many wait in TakeTurn.
  std::size_t waiting_for_turn() const { return turns_.waiting(); }
  const SpoolSettings& settings() const { return settings_; }

 private:
  friend class SpoolWriter;
  class SpooledContent;
  struct Budgets {
    explicit Budgets(const SpoolSettings& settings)
        : memory(settings.memory_budget), disk(settings.disk_budget), files(settings.max_files) {}
    Budget memory;
    Budget disk;
    Budget files;
  };

  Spool(SpoolSettings settings, UniqueFd directory, aio::BlockingPool& pool);
  // What a content of `size` bytes takes of the budget for files.
  std::uint64_t DiskFor(std::uint64_t size) const;
  // In the background: the last close of a file without a name frees its blocks, which takes tens of milliseconds for
  // each gigabyte. Until then its shares of the budgets are kept.
  void Close(UniqueFd fd, Reservation disk, Reservation a_file);

  const SpoolSettings settings_;
  UniqueFd directory_;
  aio::BlockingPool& pool_;
  const std::shared_ptr<Budgets> budgets_;  // the pool may close a file after us
  aio::Gate turns_;
};

// Takes in one content, piece by piece: counts, hashes and stores it in constant memory. One task at a time.
// Dropping a writer gives everything back.
class SpoolWriter {
 public:
  SpoolWriter(SpoolWriter&&) = default;
  ~SpoolWriter();

  // Suspends only when the content lies in a file. kTooLarge beyond the limit, kOverloaded when a budget for files
  // or the disk is full, kCancelled. After an error the writer can only be dropped.
  aio::Task<Result<void>> Append(Bytes bytes, const DiskTurn& turn);
  // With a turn of its own, which it waits for with the bytes in hand until `deadline`: kOverloaded then. For the clamd
  // front door: it has fewer connections.
  aio::Task<Result<void>> Append(Bytes bytes, SteadyTime deadline);
  // Append without suspending, and without a coroutine: empty, with nothing taken in, when it belongs into a file.
  std::optional<Result<void>> AppendNow(Bytes bytes);

  // Whether the next piece, of at most 64 KiB, may need a turn at the disk.
  bool MayNeedTurn() const;

  // The content that is complete now. Call once.
  Result<ContentPtr> Finish();

  std::uint64_t size() const { return size_; }

 private:
  friend class Spool;
  SpoolWriter(Spool& spool, std::optional<std::uint64_t> expected_size);

  Result<void> AppendToMemory(Bytes bytes);
  aio::Task<Result<void>> AppendToFile(Bytes bytes);
  Result<void> MoveToMemoryFile();

  Spool* spool_;
  std::optional<std::uint64_t> expected_size_;
  bool to_file_;
  Sha256 hasher_;
  std::uint64_t size_ = 0;
  Reservation memory_;
  Reservation disk_;
  Reservation a_file_;
  std::vector<std::byte> small_;  // until there is too much for it
  UniqueFd memory_file_;
  UniqueFd file_;
};

}  // namespace lazaret
