#include "main/override_side.h"

#include <utility>

#include "embedded/sqlite_overrides.h"

namespace lazaret {

aio::Task<Result<std::unique_ptr<OverrideSide>>> OverrideSide::Open(OverrideParts given) {
  std::unique_ptr<OverrideSide> side(new OverrideSide(given));
  const OverrideParts& parts = side->parts_;
  if (parts.shared != nullptr) {
    side->store_ = parts.shared->Overrides(side->board_);
  } else {
    auto opened = embedded::SqliteOverrides::Open(
        {.path = (parts.data / "overrides.db").native(), .max_entries = parts.config.override.max_entries},
        side->board_, parts.disk);
    if (!opened) co_return std::unexpected(opened.error());
    side->store_ = *std::move(opened);
  }
  side->upkeep_.emplace(*side->store_, side->board_, parts.executor, parts.clock, parts.log);
  (void)co_await side->upkeep_->Begin();
  co_return side;
}

http::OverrideEndpoint::Parts OverrideSide::ForOperator() {
  return {.store = *store_, .board = board_, .node = parts_.shared != nullptr ? parts_.shared->node() : std::string()};
}

}  // namespace lazaret
