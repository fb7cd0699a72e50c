#include "fleet/shard_board.h"

#include <algorithm>
#include <tuple>

namespace lazaret::fleet {
namespace {

// A Redis whose clock or counter went back, for it is another one now, is believed after this.
constexpr milliseconds kDisbelief{2000};

}  // namespace

void ShardBoard::Note(std::uint32_t shard, const ShardFigures& figures) {
  const SteadyTime now = std::chrono::steady_clock::now();
  std::lock_guard lock(mutex_);
  Shard& known = shards_[shard];
  known.failure.reset();
  if (known.view && now - known.noted < kDisbelief) {
    const ShardFigures& old = known.view->figures;
    if (std::tie(figures.time, figures.tick) < std::tie(old.time, old.tick)) return;
  }
  known.view = View{figures, clock_.SteadyNow()};
  known.noted = now;
}

void ShardBoard::NoteFailure(std::uint32_t shard, const Error& error) {
  std::lock_guard lock(mutex_);
  shards_[shard].failure = error;
}

std::optional<ShardBoard::View> ShardBoard::Of(std::uint32_t shard) const {
  std::lock_guard lock(mutex_);
  return shards_[shard].view;
}

std::uint64_t ShardBoard::seq() const {
  std::lock_guard lock(mutex_);
  std::uint64_t seq = 0;
  for (const Shard& shard : shards_) {
    if (shard.view) seq = std::max(seq, shard.view->figures.seq);
  }
  return seq;
}

JobCounts ShardBoard::Counts() const {
  std::lock_guard lock(mutex_);
  JobCounts counts;
  for (const Shard& shard : shards_) {
    if (!shard.view) continue;
    const ShardFigures& figures = shard.view->figures;
    counts.queued += figures.unfinished - std::min(figures.leased, figures.unfinished);
    counts.leased += figures.leased;
    counts.done += figures.done;
    counts.dead += figures.dead;
    counts.bytes += figures.bytes;
    if (figures.oldest && (!counts.oldest || *figures.oldest < *counts.oldest)) counts.oldest = figures.oldest;
  }
  return counts;
}

std::uint64_t ShardBoard::messages() const {
  std::lock_guard lock(mutex_);
  std::uint64_t messages = 0;
  for (const Shard& shard : shards_) messages += shard.view ? shard.view->figures.messages : 0;
  return messages;
}

ShardBoard::Load ShardBoard::LoadBeside(std::uint32_t shard) const {
  std::lock_guard lock(mutex_);
  Load load;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (i == shard || !shards_[i].view) continue;
    load.jobs += shards_[i].view->figures.unfinished;
    load.bytes += shards_[i].view->figures.bytes;
  }
  return load;
}

std::optional<Error> ShardBoard::failure() const {
  std::lock_guard lock(mutex_);
  for (const Shard& shard : shards_) {
    if (!shard.failure) return std::nullopt;
  }
  return shards_.front().failure;
}

}  // namespace lazaret::fleet
