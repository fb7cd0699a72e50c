#pragma once

#include <optional>
#include <utility>

#include "core/override_board.h"
#include "core/override_store.h"

namespace lazaret::http {

// Overrides in memory, for tests. Any one thread.
class SampleOverrides final : public OverrideStore {
 public:
  explicit SampleOverrides(OverrideBoard& board) : board_(board) {}

  aio::Task<Result<void>> Put(Override entry) override {
    if (failure) co_return std::unexpected(*failure);
    board_.Put(std::move(entry));
    co_return Result<void>();
  }
  aio::Task<Result<void>> Remove(Digest id) override {
    if (failure) co_return std::unexpected(*failure);
    const std::size_t before = board_.size();
    board_.Drop(id);
    if (board_.size() == before) co_return Fail(Errc::kNotFound, "no such override");
    co_return Result<void>();
  }
  aio::Task<Result<void>> Refresh() override { co_return Result<void>(); }

  std::optional<Error> failure;

 private:
  OverrideBoard& board_;
};

}  // namespace lazaret::http
