#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "aio/handoff.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"

namespace lazaret::clamd {

// Bounds how many directories are walked through at once, for what all walks remember together. Thread-safe; outlives
// its seats and who waits.
class WalkGate {
 public:
  // Of one walk; whoever waits longest gets it next.
  class Seat {
   public:
    Seat(Seat&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Seat& operator=(Seat&&) = delete;
    ~Seat() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    friend class WalkGate;
    explicit Seat(WalkGate& gate) : gate_(&gate) {}
    WalkGate* gate_;
  };

  WalkGate(std::size_t seats, std::size_t most_waiting) : free_(seats), most_waiting_(most_waiting) {}

  // kOverloaded when there is none before `deadline`, or when too many wait already.
  aio::Task<Result<Seat>> Enter(SteadyTime deadline);

 private:
  using Waiter = aio::Handoff<Seat>;
  void Leave();

  std::mutex mutex_;  // guards what follows
  std::size_t free_;
  std::list<std::shared_ptr<Waiter>> waiting_;
  const std::size_t most_waiting_;
};

}  // namespace lazaret::clamd
