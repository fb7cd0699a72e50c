#include "service/lane_queue.h"

#include <algorithm>

namespace lazaret {

void LaneQueue::ShortLane::Add(Ticket ticket, std::uint64_t size) {
  by_age_.emplace(ticket, size);
  by_size_.emplace(size, ticket);
}

std::optional<std::uint64_t> LaneQueue::ShortLane::Remove(Ticket ticket) {
  const auto entry = by_age_.extract(ticket);
  if (entry.empty()) return std::nullopt;
  by_size_.erase({entry.mapped(), ticket});
  return entry.mapped();
}

LaneQueue::Ticket LaneQueue::ShortLane::TakeOldest() {
  const Ticket ticket = by_age_.begin()->first;
  Remove(ticket);
  return ticket;
}

LaneQueue::Ticket LaneQueue::ShortLane::TakeSmallest() {
  const Ticket ticket = by_size_.begin()->second;
  Remove(ticket);
  return ticket;
}

LaneQueue::Ticket LaneQueue::Add(bool is_short, bool is_urgent, std::uint64_t size) {
  Lanes& lanes = is_urgent ? urgent_ : queued_;
  if (is_short) {
    lanes.shorts.Add(next_, size);
  } else {
    lanes.longs.insert(next_);
  }
  return next_++;
}

void LaneQueue::AddAgain(Ticket ticket, bool is_urgent) { (is_urgent ? urgent_ : queued_).longs.insert(ticket); }

void LaneQueue::Promote(Ticket ticket) {
  if (const auto size = queued_.shorts.Remove(ticket)) urgent_.shorts.Add(ticket, *size);
  if (queued_.longs.erase(ticket) > 0) urgent_.longs.insert(ticket);
}

void LaneQueue::Remove(Ticket ticket) {
  for (Lanes* lanes : {&urgent_, &queued_}) {
    lanes->shorts.Remove(ticket);
    lanes->longs.erase(ticket);
  }
}

std::optional<LaneQueue::Ticket> LaneQueue::Lanes::StartSmallest() {
  if (shorts.empty()) return std::nullopt;
  ++shorts_running;
  return shorts.TakeSmallest();
}

std::optional<LaneQueue::Ticket> LaneQueue::Lanes::Start() {
  const bool long_is_due = !longs.empty() && (shorts.empty() || shorts_in_a_row >= kOthersPerTurn);
  if (long_is_due) {
    shorts_in_a_row = 0;
    ++longs_running;
    return longs.extract(longs.begin()).value();
  }
  shorts_in_a_row = longs.empty() ? 0 : shorts_in_a_row + 1;
  if (shorts.empty()) return std::nullopt;
  ++shorts_running;
  return shorts.TakeOldest();
}

std::optional<LaneQueue::Ticket> LaneQueue::StartOrdinary() {
  if (urgent_.IsEmpty()) return queued_.Start();
  const bool queued_is_due = !queued_.IsEmpty() && urgent_in_a_row_ >= kOthersPerTurn &&
                             queued_.running() < std::max<std::size_t>(1, ordinary_slots_ / 2);
  if (queued_is_due) {
    urgent_in_a_row_ = 0;
    return queued_.Start();
  }
  urgent_in_a_row_ = queued_.IsEmpty() ? 0 : urgent_in_a_row_ + 1;
  return urgent_.Start();
}

std::optional<LaneQueue::Ticket> LaneQueue::StartExpress() {
  if (running() >= ordinary_slots_ + express_slots_) return std::nullopt;
  const std::size_t longs = longs_running();
  if (!urgent_.shorts.empty()) {
    return longs + queued_.shorts_running >= ordinary_slots_ ? urgent_.StartSmallest() : std::nullopt;
  }
  return longs >= ordinary_slots_ ? queued_.StartSmallest() : std::nullopt;
}

std::optional<LaneQueue::Ticket> LaneQueue::StartNext() {
  return running() < ordinary_slots_ ? StartOrdinary() : StartExpress();
}

void LaneQueue::Done(bool is_short, bool is_urgent) {
  Lanes& lanes = is_urgent ? urgent_ : queued_;
  --(is_short ? lanes.shorts_running : lanes.longs_running);
}

void LaneQueue::Demote(bool is_urgent) {
  Lanes& lanes = is_urgent ? urgent_ : queued_;
  --lanes.shorts_running;
  ++lanes.longs_running;
}

std::optional<std::uint64_t> LaneQueue::SmallestHeldUp(bool is_urgent) const {
  if (longs_running() <= ordinary_slots_ || running() < ordinary_slots_ + express_slots_) return std::nullopt;
  if (!urgent_.shorts.empty()) return urgent_.shorts.smallest();
  if (is_urgent || queued_.shorts.empty()) return std::nullopt;
  return queued_.shorts.smallest();
}

}  // namespace lazaret
