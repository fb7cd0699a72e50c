#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

namespace lazaret {

// Decides which waiting scan gets the next slot; owns no clock, thread or socket.
//
// Contents are short or long. Both kinds share the ordinary slots, oldest first within a kind; while both wait, every
// fifth start is a long one, so that neither starves. When long ones hold all ordinary slots, a short one may use the
// express slot besides: it never waits for a long scan to end.
class LaneQueue {
 public:
  using Ticket = std::uint64_t;

  LaneQueue(std::size_t ordinary_slots, std::size_t express_slots)
      : ordinary_slots_(ordinary_slots), express_slots_(express_slots) {}

  Ticket Add(bool is_short);
  // Takes back a ticket that has not started. Unknown ones are ignored.
  void Remove(Ticket ticket);
  // The ticket that starts now, if one can; it runs until Done.
  std::optional<Ticket> StartNext();
  void Done(bool is_short);

  std::size_t waiting(bool is_short) const { return is_short ? short_.size() : long_.size(); }
  std::size_t waiting() const { return short_.size() + long_.size(); }
  std::size_t running() const { return short_running_ + long_running_; }

 private:
  static constexpr int kShortsPerLong = 4;

  // In the order in which they came.
  using Lane = std::set<Ticket>;

  std::optional<Ticket> Start(Lane& lane, std::size_t& running);

  const std::size_t ordinary_slots_;
  const std::size_t express_slots_;
  Lane short_;
  Lane long_;
  std::size_t short_running_ = 0;
  std::size_t long_running_ = 0;
  int shorts_in_a_row_ = 0;
  Ticket next_ = 1;
};

}  // namespace lazaret
