#include "service/lane_queue.h"

#include <algorithm>

namespace lazaret {

LaneQueue::Ticket LaneQueue::Add(bool is_short, bool is_urgent) {
  Lanes& lanes = is_urgent ? urgent_ : queued_;
  (is_short ? lanes.shorts : lanes.longs).insert(next_);
  return next_++;
}

void LaneQueue::Promote(Ticket ticket) {
  if (queued_.shorts.erase(ticket) > 0) urgent_.shorts.insert(ticket);
  if (queued_.longs.erase(ticket) > 0) urgent_.longs.insert(ticket);
}

void LaneQueue::Remove(Ticket ticket) {
  for (Lanes* lanes : {&urgent_, &queued_}) {
    lanes->shorts.erase(ticket);
    lanes->longs.erase(ticket);
  }
}

std::optional<LaneQueue::Ticket> LaneQueue::Start(Lane& lane, std::size_t& running) {
  const Ticket ticket = *lane.begin();
  lane.erase(lane.begin());
  ++running;
  return ticket;
}

std::optional<LaneQueue::Ticket> LaneQueue::StartOneOf(Lanes& lanes) {
  const bool long_is_due = !lanes.longs.empty() && (lanes.shorts.empty() || lanes.shorts_in_a_row >= kOthersPerTurn);
  if (long_is_due) {
    lanes.shorts_in_a_row = 0;
    return Start(lanes.longs, long_running_);
  }
  if (lanes.shorts.empty()) return std::nullopt;
  lanes.shorts_in_a_row = lanes.longs.empty() ? 0 : lanes.shorts_in_a_row + 1;
  return Start(lanes.shorts, short_running_);
}

template <class HasAny>
LaneQueue::Lanes& LaneQueue::Next(HasAny has_any) {
  if (!has_any(queued_)) {
    urgent_in_a_row_ = 0;
    return urgent_;
  }
  if (!has_any(urgent_) || urgent_in_a_row_ >= kOthersPerTurn) {
    urgent_in_a_row_ = 0;
    return queued_;
  }
  ++urgent_in_a_row_;
  return urgent_;
}

std::optional<LaneQueue::Ticket> LaneQueue::StartNext() {
  if (running() < ordinary_slots_) {
    return StartOneOf(Next([](const Lanes& lanes) { return !lanes.shorts.empty() || !lanes.longs.empty(); }));
  }
  const bool express_is_free = running() < ordinary_slots_ + express_slots_ && long_running_ >= ordinary_slots_;
  if (!express_is_free) return std::nullopt;
  Lanes& lanes = Next([](const Lanes& some) { return !some.shorts.empty(); });
  if (lanes.shorts.empty()) return std::nullopt;
  return Start(lanes.shorts, short_running_);
}

void LaneQueue::Done(bool is_short) { --(is_short ? short_running_ : long_running_); }

}  // namespace lazaret
