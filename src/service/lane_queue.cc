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

LaneQueue::Ticket LaneQueue::Add(bool is_short, bool is_urgent, std::uint64_t size) {
  Lanes& lanes = LanesOf(is_urgent);
  if (is_short) {
    lanes.shorts.Add(next_, size);
  } else {
    lanes.longs.insert(next_);
  }
  return next_++;
}

void LaneQueue::AddAgain(Ticket ticket, bool is_urgent) { LanesOf(is_urgent).longs.insert(ticket); }

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

std::size_t LaneQueue::longs_running() const {
  return std::ranges::count_if(running_, [](const auto& entry) { return !entry.second.is_short; });
}

std::size_t LaneQueue::queued_running() const {
  return std::ranges::count_if(running_, [](const auto& entry) { return !entry.second.is_urgent; });
}

bool LaneQueue::IsQueuedDue() const {
  return !queued_.IsEmpty() && urgent_in_a_row_ >= kOthersPerTurn &&
         queued_running() < std::max<std::size_t>(1, ordinary_slots_ / 2);
}

bool LaneQueue::IsMuchSmaller(std::uint64_t size) const {
  return std::ranges::all_of(running_, [size](const auto& entry) {
    return !entry.second.is_short || size < entry.second.size / kMuchSmaller;
  });
}

void LaneQueue::CountOrdinaryStart(bool is_short, bool is_urgent) {
  urgent_in_a_row_ = !is_urgent || queued_.IsEmpty() ? 0 : urgent_in_a_row_ + 1;
  Lanes& lanes = LanesOf(is_urgent);
  lanes.shorts_in_a_row = !is_short || lanes.longs.empty() ? 0 : lanes.shorts_in_a_row + 1;
}

LaneQueue::Ticket LaneQueue::StartShort(bool is_urgent, Ticket ticket) {
  const auto size = LanesOf(is_urgent).shorts.Remove(ticket);
  running_.emplace(ticket, Running{.is_short = true, .is_urgent = is_urgent, .size = size.value_or(0)});
  return ticket;
}

std::optional<LaneQueue::Ticket> LaneQueue::StartIn(bool is_urgent) {
  Lanes& lanes = LanesOf(is_urgent);
  if (lanes.IsEmpty()) return std::nullopt;
  const bool is_short = !lanes.shorts.empty() && !lanes.HaveOverdueLong();
  CountOrdinaryStart(is_short, is_urgent);
  if (is_short) return StartShort(is_urgent, lanes.shorts.oldest());
  const Ticket ticket = lanes.longs.extract(lanes.longs.begin()).value();
  running_.emplace(ticket, Running{.is_short = false, .is_urgent = is_urgent, .size = 0});
  return ticket;
}

std::optional<LaneQueue::Ticket> LaneQueue::StartOrdinary() { return StartIn(!urgent_.IsEmpty() && !IsQueuedDue()); }

std::optional<LaneQueue::Ticket> LaneQueue::StartExpress() {
  if (running() >= ordinary_slots_ + express_slots_) return std::nullopt;
  const bool is_urgent = !urgent_.shorts.empty();
  const ShortLane& shorts = LanesOf(is_urgent).shorts;
  if (shorts.empty()) return std::nullopt;
  const auto may_be_passed = [is_urgent](const auto& entry) {
    return !entry.second.is_short || (is_urgent && !entry.second.is_urgent);
  };
  const auto passed = static_cast<std::size_t>(std::ranges::count_if(running_, may_be_passed));
  const bool are_held = passed >= ordinary_slots_;
  if (!are_held && !(is_urgent && IsMuchSmaller(shorts.smallest()))) return std::nullopt;
  const bool is_oldest_due = are_held && wrong_guesses_ >= kOthersPerTurn;
  if (is_oldest_due) wrong_guesses_ = 0;
  if (express_) CountOrdinaryStart(true, running_.at(*express_).is_urgent);
  express_ = StartShort(is_urgent, is_oldest_due ? shorts.oldest() : shorts.smallest_ticket());
  return express_;
}

std::optional<LaneQueue::Ticket> LaneQueue::StartNext() {
  if (running() < ordinary_slots_) return StartOrdinary();
  const bool is_ordinary_free = express_ && running() == ordinary_slots_;
  const bool others_are_due = IsQueuedDue() || (urgent_.IsEmpty() ? queued_ : urgent_).HaveOverdueLong();
  return is_ordinary_free && others_are_due ? StartOrdinary() : StartExpress();
}

void LaneQueue::Done(Ticket ticket) {
  running_.erase(ticket);
  if (express_ == ticket) express_.reset();
}

void LaneQueue::Demote(Ticket ticket) {
  running_.at(ticket).is_short = false;
  ++wrong_guesses_;
}

std::optional<std::uint64_t> LaneQueue::SmallestHeldUp(bool is_urgent) const {
  if (longs_running() <= ordinary_slots_ || running() < ordinary_slots_ + express_slots_) return std::nullopt;
  if (!urgent_.shorts.empty()) return urgent_.shorts.smallest();
  if (is_urgent || queued_.shorts.empty()) return std::nullopt;
  return queued_.shorts.smallest();
}

}  // namespace lazaret
