#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/digest.h"

namespace lazaret {

// The contents that are scanned again although their requests have been answered: bounded, because they hold room in
// the spool that nobody waits for. Thread-safe.
class Rescans {
 public:
  static constexpr std::size_t kMost = 1000;
  static constexpr std::uint64_t kMostBytes = std::uint64_t{256} << 20;

  enum class Admission { kNew, kUnderWay, kFull };

  // After kNew the caller must say when it is Over.
  Admission Admit(const Digest& digest, std::uint64_t size) {
    std::lock_guard lock(mutex_);
    if (sizes_.contains(digest)) return Admission::kUnderWay;
    if (sizes_.size() >= kMost || size > kMostBytes - bytes_) return Admission::kFull;
    sizes_.emplace(digest, size);
    bytes_ += size;
    return Admission::kNew;
  }
  void Over(const Digest& digest) {
    std::lock_guard lock(mutex_);
    const auto entry = sizes_.find(digest);
    if (entry == sizes_.end()) return;
    bytes_ -= entry->second;
    sizes_.erase(entry);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<Digest, std::uint64_t, DigestHash> sizes_;
  std::uint64_t bytes_ = 0;
};

}  // namespace lazaret
