#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

namespace lazaret {

// Decides which waiting scan gets the next slot; owns no clock, thread or socket.
//
// Somebody waits for an urgent scan; others were queued. While both kinds wait, every fifth start is one of the queued,
// so that they go on under any load. Contents are short or long. Both share the ordinary slots, oldest first within a
// kind; while both wait, every fifth start is a long one, so that neither starves. When long ones hold all ordinary
// slots, a short one may use the express slot besides: it never waits for a long scan to end.
class LaneQueue {
 public:
  using Ticket = std::uint64_t;

  LaneQueue(std::size_t ordinary_slots, std::size_t express_slots)
      : ordinary_slots_(ordinary_slots), express_slots_(express_slots) {}

  Ticket Add(bool is_short, bool is_urgent = true);
  // Makes a ticket urgent that was not; it keeps its age. Those that have started, and unknown ones, are ignored.
  void Promote(Ticket ticket);
  // Takes back a ticket that has not started. Unknown ones are ignored.
  void Remove(Ticket ticket);
  // The ticket that starts now, if one can; it runs until Done.
  std::optional<Ticket> StartNext();
  void Done(bool is_short);

  // Urgent ones.
  std::size_t waiting(bool is_short) const { return is_short ? urgent_.shorts.size() : urgent_.longs.size(); }
  std::size_t running() const { return short_running_ + long_running_; }

 private:
  static constexpr int kOthersPerTurn = 4;

  // In the order in which they came.
  using Lane = std::set<Ticket>;
  struct Lanes {
    Lane shorts;
    Lane longs;
    int shorts_in_a_row = 0;
  };

  std::optional<Ticket> Start(Lane& lane, std::size_t& running);
  std::optional<Ticket> StartOneOf(Lanes& lanes);
  // Those whose turn it is, of which one may start at least; `has_any` says whether one may.
  template <class HasAny>
  Lanes& Next(HasAny has_any);

  const std::size_t ordinary_slots_;
  const std::size_t express_slots_;
  Lanes urgent_;
  Lanes queued_;
  int urgent_in_a_row_ = 0;
  std::size_t short_running_ = 0;
  std::size_t long_running_ = 0;
  Ticket next_ = 1;
};

}  // namespace lazaret
