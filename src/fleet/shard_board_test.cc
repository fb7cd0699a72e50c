#include "fleet/shard_board.h"

#include <gtest/gtest.h>

namespace lazaret::fleet {
namespace {

ShardFigures Figures(std::uint64_t time, std::uint64_t tick, std::uint64_t unfinished) {
  ShardFigures figures;
  figures.time = time;
  figures.tick = tick;
  figures.unfinished = unfinished;
  figures.leased = 1;
  figures.bytes = 10 * unfinished;
  figures.seq = 100 + tick;
  figures.oldest = WallTime(milliseconds(1000 + unfinished));
  return figures;
}

TEST(ShardBoard, AddsShardsUp) {
  const FakeClock clock;
  ShardBoard board(3, clock);
  EXPECT_EQ(board.Counts().queued, 0u);
  EXPECT_FALSE(board.Of(0));
  board.Note(0, Figures(1, 1, 5));
  board.Note(2, Figures(1, 7, 3));
  EXPECT_EQ(board.Counts().queued, 6u);
  EXPECT_EQ(board.Counts().leased, 2u);
  EXPECT_EQ(board.Counts().bytes, 80u);
  EXPECT_EQ(board.Counts().oldest, WallTime(milliseconds(1003)));
  EXPECT_EQ(board.seq(), 107u);
  EXPECT_EQ(board.LoadBeside(0).jobs, 3u);
  EXPECT_EQ(board.LoadBeside(1).bytes, 80u);
}

TEST(ShardBoard, LeavesOlderAnswersOut) {
  const FakeClock clock;
  ShardBoard board(1, clock);
  board.Note(0, Figures(10, 5, 5));
  board.Note(0, Figures(10, 4, 4));
  board.Note(0, Figures(9, 6, 6));
  EXPECT_EQ(board.Of(0)->figures.unfinished, 5u);
  board.Note(0, Figures(10, 5, 7));
  EXPECT_EQ(board.Of(0)->figures.unfinished, 7u);
  board.Note(0, Figures(11, 1, 1));
  EXPECT_EQ(board.Of(0)->figures.unfinished, 1u) << "a Redis that began anew";
}

TEST(ShardBoard, FailsWhenNoShardCanBeReached) {
  const FakeClock clock;
  ShardBoard board(2, clock);
  EXPECT_FALSE(board.failure());
  board.NoteFailure(0, {Errc::kUnavailable, "gone"});
  EXPECT_FALSE(board.failure());
  board.NoteFailure(1, {Errc::kUnavailable, "gone"});
  EXPECT_EQ(board.failure()->code, Errc::kUnavailable);
  board.Note(1, Figures(1, 1, 1));
  EXPECT_FALSE(board.failure());
}

}  // namespace
}  // namespace lazaret::fleet
