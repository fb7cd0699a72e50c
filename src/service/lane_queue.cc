#include "service/lane_queue.h"

#include <algorithm>

namespace lazaret {

LaneQueue::Ticket LaneQueue::Add(bool is_short) {
  (is_short ? short_ : long_).insert(next_);
  return next_++;
}

void LaneQueue::Remove(Ticket ticket) {
  short_.erase(ticket);
  long_.erase(ticket);
}

std::optional<LaneQueue::Ticket> LaneQueue::Start(Lane& lane, std::size_t& running) {
  const Ticket ticket = *lane.begin();
  lane.erase(lane.begin());
  ++running;
  return ticket;
}

std::optional<LaneQueue::Ticket> LaneQueue::StartNext() {
  if (running() < ordinary_slots_) {
    const bool long_is_due = !long_.empty() && (short_.empty() || shorts_in_a_row_ >= kShortsPerLong);
    if (long_is_due) {
      shorts_in_a_row_ = 0;
      return Start(long_, long_running_);
    }
    if (short_.empty()) return std::nullopt;
    shorts_in_a_row_ = long_.empty() ? 0 : shorts_in_a_row_ + 1;
    return Start(short_, short_running_);
  }
  const bool express_is_free = running() < ordinary_slots_ + express_slots_ && long_running_ >= ordinary_slots_;
  if (express_is_free && !short_.empty()) return Start(short_, short_running_);
  return std::nullopt;
}

void LaneQueue::Done(bool is_short) { --(is_short ? short_running_ : long_running_); }

}  // namespace lazaret
