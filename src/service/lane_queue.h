#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace lazaret {

// Decides which waiting scan gets the next slot; owns no clock, thread or socket.
//
// Somebody waits for an urgent scan; others were queued. While both kinds wait, every fifth start is one of the queued,
// so that they go on under any load, but they get no more than half of the slots then: their scans may be slow.
// Contents are short or long. Both share the ordinary slots, oldest first within a kind; while both wait, every fifth
// start is a long one, so that neither starves. An urgent short one may use the express slot besides when long or
// queued ones hold all ordinary slots, or when it is much smaller than every short one that runs; a queued short one
// when long ones hold them: it never waits for them to end. The smallest goes first there, since it is the least likely
// to keep the slot for long; the others go on by age in the ordinary ones. Short is a guess. One that turns out to be
// long counts as long from then on; where that leaves more long ones running than there are ordinary slots, one of them
// has to give way to short ones that wait. After four wrong guesses the oldest goes first in the express slot once, so
// that a stream of small slow ones does not hold up larger ones for ever. One that keeps the express slot until an
// ordinary one is free has that from then on, and counts as a start there.
class LaneQueue {
 public:
  using Ticket = std::uint64_t;

  LaneQueue(std::size_t ordinary_slots, std::size_t express_slots)
      : ordinary_slots_(ordinary_slots), express_slots_(express_slots) {}

  Ticket Add(bool is_short, bool is_urgent = true, std::uint64_t size = 0);
  // Lets a ticket that gave way wait again, among the long ones and with the age it has.
  void AddAgain(Ticket ticket, bool is_urgent);
  // Makes a ticket urgent that was not; it keeps its age. Those that have started, and unknown ones, are ignored.
  void Promote(Ticket ticket);
  // Takes back a ticket that has not started. Unknown ones are ignored.
  void Remove(Ticket ticket);
  // The ticket that starts now, if one can; it runs until Done.
  std::optional<Ticket> StartNext();
  void Done(Ticket ticket);
  // A short one that runs turns out to be long.
  void Demote(Ticket ticket);
  // The size of the smallest short one that would start now if a demoted one gave way; an urgent one does so only for
  // urgent ones. Empty when nothing waits for that.
  std::optional<std::uint64_t> SmallestHeldUp(bool is_urgent) const;

  // Urgent ones.
  std::size_t waiting(bool is_short) const { return is_short ? urgent_.shorts.size() : urgent_.longs.size(); }
  std::size_t running() const { return running_.size(); }

 private:
  static constexpr int kOthersPerTurn = 4;
  // As much smaller than those that run a short one is that need not wait for them.
  static constexpr std::uint64_t kMuchSmaller = 4;

  struct Running {
    bool is_short;
    bool is_urgent;  // as it was when it started
    std::uint64_t size;
  };
  // In the order in which they came.
  using Lane = std::set<Ticket>;
  // The same by size, too.
  class ShortLane {
   public:
    bool empty() const { return by_age_.empty(); }
    std::size_t size() const { return by_age_.size(); }
    std::uint64_t smallest() const { return by_size_.begin()->first; }
    void Add(Ticket ticket, std::uint64_t size);
    // The size it was added with; empty when it is not there.
    std::optional<std::uint64_t> Remove(Ticket ticket);
    Ticket oldest() const { return by_age_.begin()->first; }
    Ticket smallest_ticket() const { return by_size_.begin()->second; }

   private:
    std::map<Ticket, std::uint64_t> by_age_;
    std::set<std::pair<std::uint64_t, Ticket>> by_size_;
  };
  struct Lanes {
    bool IsEmpty() const { return shorts.empty() && longs.empty(); }
    bool HaveOverdueLong() const { return !longs.empty() && shorts_in_a_row >= kOthersPerTurn; }

    ShortLane shorts;
    Lane longs;
    int shorts_in_a_row = 0;
  };

  Lanes& LanesOf(bool is_urgent) { return is_urgent ? urgent_ : queued_; }
  std::size_t longs_running() const;
  std::size_t queued_running() const;
  bool IsQueuedDue() const;
  bool IsMuchSmaller(std::uint64_t size) const;
  void CountOrdinaryStart(bool is_short, bool is_urgent);
  Ticket StartShort(bool is_urgent, Ticket ticket);
  std::optional<Ticket> StartIn(bool is_urgent);
  std::optional<Ticket> StartOrdinary();
  std::optional<Ticket> StartExpress();

  const std::size_t ordinary_slots_;
  const std::size_t express_slots_;
  Lanes urgent_;
  Lanes queued_;
  std::map<Ticket, Running> running_;
  std::optional<Ticket> express_;  // which runs and was started there last
  int urgent_in_a_row_ = 0;
  int wrong_guesses_ = 0;  // since the oldest went first in the express slot
  Ticket next_ = 1;
};

}  // namespace lazaret
