#include "aio/gate.h"

namespace lazaret::aio {

Task<std::optional<Gate::Seat>> Gate::Enter(SteadyTime deadline) {
  const auto waiter = std::make_shared<Waiter>();
  {
    std::lock_guard lock(mutex_);
    if (free_ > 0) {
      --free_;
      co_return Seat(*this);
    }
    if (line_.size() >= most_waiting_) co_return std::nullopt;
    waiter->place = line_.insert(line_.end(), waiter);
  }
  const struct Withdraw {
    Gate& gate;
    Waiter& waiter;
    ~Withdraw() {
      std::lock_guard lock(gate.mutex_);
      if (waiter.place) gate.line_.erase(*waiter.place);
    }
  } withdraw{*this, *waiter};
  co_return co_await waiter->handoff.Receive(deadline);
}

std::size_t Gate::waiting() const {
  std::lock_guard lock(mutex_);
  return line_.size();
}

void Gate::Leave() {
  Seat seat(*this);
  for (;;) {
    std::shared_ptr<Waiter> next;
    {
      std::lock_guard lock(mutex_);
      if (line_.empty()) {
        ++free_;
        seat.gate_ = nullptr;
        return;
      }
      next = std::move(line_.front());
      line_.pop_front();
      next->place.reset();
    }
    if (next->handoff.Give(std::move(seat))) return;
  }
}

}  // namespace lazaret::aio
