#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "core/job_queue.h"
#include "fleet/job_replies.h"

namespace lazaret::fleet {

// What is known here of all shards, from the last answer of each. Thread-safe.
class ShardBoard {
 public:
  ShardBoard(std::uint32_t shards, const Clock& clock) : clock_(clock), shards_(shards) {}

  struct View {
    ShardFigures figures;
    SteadyTime at;  // on our clock
  };

  // Answers may come in another order than they were made in: an older one is left out.
  void Note(std::uint32_t shard, const ShardFigures& figures);
  // Whether the shard could be reached lately.
  void NoteFailure(std::uint32_t shard, const Error& error);

  // Empty before anything was noted.
  std::optional<View> Of(std::uint32_t shard) const;
  // The greatest number that was given anywhere, as far as is known.
  std::uint64_t seq() const;
  JobCounts Counts() const;
  std::uint64_t messages() const;
  // What the other shards hold.
  struct Load {
    std::uint64_t jobs = 0;
    std::uint64_t bytes = 0;
  };
  Load LoadBeside(std::uint32_t shard) const;
  // Why no shard can be reached; empty when one can.
  std::optional<Error> failure() const;
  std::uint32_t shards() const { return static_cast<std::uint32_t>(shards_.size()); }

 private:
  struct Shard {
    std::optional<View> view;
    SteadyTime noted = SteadyTime::min();  // of the real clock
    std::optional<Error> failure;
  };

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<Shard> shards_;
};

}  // namespace lazaret::fleet
