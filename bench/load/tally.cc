#include "load/tally.h"

#include <utility>

namespace lazaret::bench {

void Tally::Merge(Tally&& other) {
  latency.Merge(other.latency);
  service.Merge(other.service);
  allowed.Merge(other.allowed);
  sent_bytes += other.sent_bytes;
  missed += other.missed;
  retried += other.retried;
  for (const auto& [kind, count] : other.defects) defects[kind] += count;
  for (const auto& [status, count] : other.allowed_statuses) allowed_statuses[status] += count;
  answers.merge(std::move(other.answers));
}

}  // namespace lazaret::bench
