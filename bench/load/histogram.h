#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lazaret::bench {

using std::chrono::nanoseconds;

// Counts times in buckets that grow with the time, as HdrHistogram does: 128 to each power of two, so that what is read
// is at most 1/128 too much, from a nanosecond to centuries, in 60 KB. Not thread-safe: one each, and Merge.
class Histogram {
 public:
  Histogram();

  // A negative time counts as zero.
  void Record(nanoseconds time);
  void Merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  nanoseconds max() const { return nanoseconds(max_); }
  // Zero when nothing was recorded, as the others.
  nanoseconds Mean() const;
  // A time that at least `share` (0 to 1) of all recorded ones do not exceed, at most 1/128 above the least such time
  // and never above max().
  nanoseconds Quantile(double share) const;

 private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace lazaret::bench
