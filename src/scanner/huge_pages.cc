#include "scanner/huge_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lazaret::scanner {
namespace {

constexpr int kCollapse = 25;  // MADV_COLLAPSE of linux/mman.h, which the C library of Debian 12 lacks

struct Range {
  std::uintptr_t begin, end;
};

std::string ReadAll(int fd) {
  std::string text;
  std::array<char, 16384> buffer;
  for (ssize_t got; (got = ::read(fd, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

// Memory of malloc(3) and mmap(2) without a file: what a line of proc_pid_maps(5) calls writable, private, of inode 0,
// and nothing or the heap.
bool ParseAnonymous(const std::string& line, Range& range) {
  unsigned long begin = 0, end = 0, inode = 0;
  std::array<char, 5> rights{};
  std::array<char, 32> name{};
  const int fields =
      std::sscanf(line.c_str(), "%lx-%lx %4s %*s %*s %lu %31s", &begin, &end, rights.data(), &inode, name.data());
  const std::string_view what(name.data());
  if (fields < 4 || inode != 0 || std::string_view(rights.data()) != "rw-p" || (!what.empty() && what != "[heap]")) {
    return false;
  }
  range = {(begin + kHugePageSize - 1) & ~(kHugePageSize - 1), end & ~(kHugePageSize - 1)};
  return range.begin < range.end;
}

}  // namespace

bool MakeHugePage(void* address) { return ::madvise(address, kHugePageSize, kCollapse) == 0; }

Result<HugePages> HugePages::Prepare() {
  UniqueFd maps(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  if (!maps) return std::unexpected(SystemError("open /proc/self/maps", errno));
  return HugePages(std::move(maps));
}

HugePages::Moved HugePages::Collapse() const {
  const std::string text = ReadAll(maps_.Get());
  std::vector<Range> ranges;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t line_end = std::min(text.find('\n', at), text.size());
    if (Range range{}; ParseAnonymous(text.substr(at, line_end - at), range)) ranges.push_back(range);
    at = line_end + 1;
  }
  Moved moved;
  for (const Range& range : ranges) {
    for (std::uintptr_t page = range.begin; page < range.end; page += kHugePageSize) {
      moved.possible += kHugePageSize;
      if (MakeHugePage(reinterpret_cast<void*>(page))) moved.bytes += kHugePageSize;
    }
  }
  return moved;
}

}  // namespace lazaret::scanner
