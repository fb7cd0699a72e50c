#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "redis/reply.h"
#include "redis/url.h"

namespace lazaret::redis {

// Slots in a row and the master that has them.
struct SlotRange {
  std::uint16_t first;
  std::uint16_t last;
  Endpoint master;
  friend bool operator==(const SlotRange&, const SlotRange&) = default;
};

// The reply to CLUSTER SLOTS, of the node at `asked`, whose host stands for one that the cluster does not know.
// kCorrupt when it is not of that form.
Result<std::vector<SlotRange>> ParseClusterSlots(const Reply& reply, const Endpoint& asked);

}  // namespace lazaret::redis
