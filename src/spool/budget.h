#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace lazaret {

class Budget;

// A share of a budget that is given back when it goes. It must not outlive its budget.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation() { Release(); }

  // Makes the share at least `bytes` large; false, with nothing changed, when the budget has not that much left.
  [[nodiscard]] bool GrowTo(std::uint64_t bytes);
  void Release();
  std::uint64_t bytes() const { return bytes_; }

 private:
  friend class Budget;
  explicit Reservation(Budget* budget) : budget_(budget) {}

  Budget* budget_ = nullptr;
  std::uint64_t bytes_ = 0;
};

// A number of bytes that many uploads share. Thread-safe.
class Budget {
 public:
  explicit Budget(std::uint64_t limit) : limit_(limit) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  Reservation Open() { return Reservation(this); }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  std::uint64_t limit() const { return limit_; }
  bool HasRoomFor(std::uint64_t bytes) const { return bytes <= limit_ && used() <= limit_ - bytes; }

 private:
  friend class Reservation;
  bool Take(std::uint64_t bytes);

  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_ = 0;
};

}  // namespace lazaret
