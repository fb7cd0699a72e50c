#pragma once

#include <cstddef>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lazaret::scanner {

inline constexpr std::size_t kHugePageSize = 2 * 1024 * 1024;

// Makes one huge page of the memory at `address`, a multiple of its size (MADV_COLLAPSE, madvise(2), Linux 6.1). False
// when the kernel refuses: it stays as it is.
bool MakeHugePage(void* address);

// A measure for speed. The signatures are a gigabyte of small nodes that a scan wanders through: in pages of 4 KiB most
// steps miss the TLB, and each fork copies a quarter of a million page table entries.
class HugePages {
 public:
  struct Moved {
    std::size_t bytes = 0;     // that lie in huge pages now
    std::size_t possible = 0;  // that could
  };

  // To be called while /proc can be seen.
  static Result<HugePages> Prepare();

  // Moves what this process has allocated until now into huge pages, two seconds for a gigabyte.
  Moved Collapse() const;

 private:
  explicit HugePages(UniqueFd maps) : maps_(std::move(maps)) {}

  UniqueFd maps_;  // proc_pid_maps(5)
};

}  // namespace lazaret::scanner
