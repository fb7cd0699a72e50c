#include "clamd/walk_gate.h"

#include <optional>

namespace lazaret::clamd {

aio::Task<Result<WalkGate::Seat>> WalkGate::Enter(SteadyTime deadline) {
  const auto waiter = std::make_shared<Waiter>();
  {
    std::lock_guard lock(mutex_);
    if (free_ > 0) {
      --free_;
      co_return Seat(*this);
    }
    if (waiting_.size() >= most_waiting_) co_return Fail(Errc::kOverloaded, "too many directories wait to be scanned");
    waiting_.push_back(waiter);
  }
  const struct Withdraw {
    WalkGate& gate;
    const std::shared_ptr<Waiter>& waiter;
    ~Withdraw() {
      std::lock_guard lock(gate.mutex_);
      gate.waiting_.remove(waiter);
    }
  } withdraw{*this, waiter};
  auto seat = co_await waiter->Receive(deadline);
  if (!seat) co_return Fail(Errc::kOverloaded, "too many directories are being scanned");
  co_return *std::move(seat);
}

void WalkGate::Leave() {
  Seat seat(*this);
  for (;;) {
    std::shared_ptr<Waiter> next;
    {
      std::lock_guard lock(mutex_);
      if (waiting_.empty()) {
        ++free_;
        seat.gate_ = nullptr;
        return;
      }
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    if (next->Give(std::move(seat))) return;
  }
}

}  // namespace lazaret::clamd
