#include "load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace lazaret::bench {
namespace {

constexpr unsigned kSubBits = 7;
constexpr std::uint64_t kSubBuckets = 1u << kSubBits;
constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSubBuckets;

// Times below 2 * kSubBuckets have a bucket each; above, the eight highest bits tell.
std::size_t BucketOf(std::uint64_t value) {
  const unsigned width = static_cast<unsigned>(std::bit_width(value));
  const unsigned shift = width > kSubBits + 1 ? width - kSubBits - 1 : 0;
  return shift * kSubBuckets + (value >> shift);
}

std::uint64_t HighestOf(std::size_t bucket) {
  if (bucket < 2 * kSubBuckets) return bucket;
  const std::size_t shift = bucket / kSubBuckets - 1;
  const std::uint64_t lowest = static_cast<std::uint64_t>(bucket - shift * kSubBuckets) << shift;
  return lowest + ((std::uint64_t{1} << shift) - 1);
}

}  // namespace

Histogram::Histogram() : buckets_(kBuckets) {}

void Histogram::Record(nanoseconds time) {
  const auto value = static_cast<std::uint64_t>(std::max<nanoseconds::rep>(time.count(), 0));
  ++buckets_[BucketOf(value)];
  ++count_;
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
}

void Histogram::Merge(const Histogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

nanoseconds Histogram::Mean() const {
  return nanoseconds(count_ == 0 ? 0 : std::llround(sum_ / static_cast<double>(count_)));
}

nanoseconds Histogram::Quantile(double share) const {
  const auto wanted =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted) return nanoseconds(std::min(HighestOf(i), max_));
  }
  return max();
}

}  // namespace lazaret::bench
