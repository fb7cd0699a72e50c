#pragma once

#include <cstddef>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "aio/handoff.h"
#include "aio/task.h"
#include "base/clock.h"

namespace lazaret::aio {

// Lets only so many in at once. Thread-safe; outlives its seats and who waits.
class Gate {
 public:
  // Of one who is in; whoever waits longest gets it next.
  class Seat {
   public:
    Seat(Seat&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Seat& operator=(Seat&&) = delete;
    ~Seat() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    friend class Gate;
    explicit Seat(Gate& gate) : gate_(&gate) {}
    Gate* gate_;
  };

  explicit Gate(std::size_t seats, std::size_t most_waiting = std::numeric_limits<std::size_t>::max())
      : free_(seats), most_waiting_(most_waiting) {}

  // Empty when there is no seat before `deadline`, when too many wait already, or when the caller is cancelled (its
  // next wait throws then).
  Task<std::optional<Seat>> Enter(SteadyTime deadline);
  std::size_t waiting() const;

 private:
  struct Waiter;
  using Line = std::list<std::shared_ptr<Waiter>>;
  struct Waiter {
    Handoff<Seat> handoff;
    std::optional<Line::iterator> place;  // in the line
  };
  void Leave();

  mutable std::mutex mutex_;  // guards what follows
  std::size_t free_;
  Line line_;
  const std::size_t most_waiting_;
};

}  // namespace lazaret::aio
