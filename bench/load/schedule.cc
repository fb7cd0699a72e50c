#include "load/schedule.h"

namespace lazaret::bench {
namespace {

nanoseconds Nanoseconds(double seconds) { return nanoseconds(static_cast<nanoseconds::rep>(seconds * 1e9)); }

}  // namespace

Arrivals::Arrivals(double rate, Spacing spacing, unsigned share, unsigned shares, std::uint64_t seed)
    : rate_(rate), spacing_(spacing), share_(share), shares_(shares), random_(seed * 1'000'003 + share) {}

nanoseconds Arrivals::Next() {
  if (spacing_ == Spacing::kEven) {
    const std::uint64_t place = number_++ * shares_ + share_;
    return Nanoseconds(static_cast<double>(place) / rate_);
  }
  seconds_ += std::exponential_distribution<double>(rate_ / shares_)(random_);
  return Nanoseconds(seconds_);
}

std::optional<std::uint64_t> RequestBudget::Take() {
  const std::uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
  if (limit_ != 0 && number >= limit_) return std::nullopt;
  return number;
}

Pacer::Pacer(SteadyTime start, SteadyTime end, std::optional<Arrivals> arrivals, RequestBudget& budget)
    : start_(start), end_(end), arrivals_(std::move(arrivals)), budget_(budget) {}

std::optional<Turn> Pacer::Next(SteadyTime now) {
  if (now >= end_) return std::nullopt;
  return Give(arrivals_ ? start_ + arrivals_->Next() : now);
}

std::optional<Turn> Pacer::TakeMissed() { return arrivals_ ? Give(start_ + arrivals_->Next()) : std::nullopt; }

std::optional<Turn> Pacer::Give(SteadyTime intended) {
  if (over_ || intended >= end_) {
    over_ = true;
    return std::nullopt;
  }
  const auto number = budget_.Take();
  if (!number) {
    over_ = true;
    return std::nullopt;
  }
  return Turn{*number, intended};
}

}  // namespace lazaret::bench
