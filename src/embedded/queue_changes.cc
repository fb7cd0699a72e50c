#include "embedded/queue_changes.h"

#include <iterator>

namespace lazaret::embedded {

void QueueChanges::Commit() {
  for (const auto& file : adopted_) file->Keep();
  for (const ContentFileName& name : removed_) files_.Remove(name);
  for (const Lease& lease : ended_) leases_.End(lease.id, lease.token);
  adopted_.clear();
  removed_.clear();
  granted_.clear();
  ended_.clear();
  doubtful_.clear();
}

void QueueChanges::UndoAll(bool surely) {
  if (!surely) doubtful_.insert(doubtful_.end(), adopted_.begin(), adopted_.end());
  UndoTo(before_);
}

void QueueChanges::UndoTo(const Marks& marks) {
  state = marks.state;
  for (std::size_t i = granted_.size(); i > marks.granted; --i) {
    const auto& [lease, replaced] = granted_[i - 1];
    leases_.End(lease.id, lease.token);
    if (replaced) leases_.Grant(lease.id, replaced->token, replaced->until);
  }
  adopted_.resize(marks.adopted);
  removed_.erase(removed_.begin() + static_cast<std::ptrdiff_t>(marks.removed), removed_.end());
  granted_.erase(granted_.begin() + static_cast<std::ptrdiff_t>(marks.granted), granted_.end());
  ended_.erase(ended_.begin() + static_cast<std::ptrdiff_t>(marks.ended), ended_.end());
}

}  // namespace lazaret::embedded
