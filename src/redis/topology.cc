#include "redis/topology.h"

#include "redis/slot.h"

namespace lazaret::redis {

Result<std::vector<SlotRange>> ParseClusterSlots(const Reply& reply, const Endpoint& asked) {
  const auto corrupt = [] { return Fail(Errc::kCorrupt, "Redis answered CLUSTER SLOTS with something else"); };
  if (!reply.IsArray()) return corrupt();
  std::vector<SlotRange> ranges;
  for (const Reply& range : reply.elements()) {
    if (range.elements().size() < 3) return corrupt();
    const auto first = range.elements()[0].ToInteger("CLUSTER SLOTS");
    const auto last = range.elements()[1].ToInteger("CLUSTER SLOTS");
    const std::vector<Reply>& master = range.elements()[2].elements();
    if (!first || !last || *first < 0 || *first > *last || *last >= kSlots || master.size() < 2) return corrupt();
    const auto port = master[1].ToInteger("CLUSTER SLOTS");
    if (!port || *port < 1 || *port > 65535) return corrupt();
    const std::string& host = master[0].text();
    ranges.push_back({.first = static_cast<std::uint16_t>(*first),
                      .last = static_cast<std::uint16_t>(*last),
                      .master = {.host = host.empty() || host == "?" ? asked.host : host,
                                 .port = static_cast<std::uint16_t>(*port),
                                 .path = {}}});
  }
  return ranges;
}

}  // namespace lazaret::redis
