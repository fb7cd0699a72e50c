#include "clamav/memory_room.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace lazaret::clamav {
namespace {

namespace fs = std::filesystem;

// Version 1 says "no limit" by a number near the largest of an address space.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;

std::optional<std::uint64_t> ToNumber(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> ReadNumber(const fs::path& file) {
  std::ifstream in(file);
  std::string word;
  if (!(in >> word)) return std::nullopt;
  return ToNumber(word);  // "max" is none
}

// The number behind `key` in a file of lines "key value" or "key: value kB".
std::optional<std::uint64_t> ReadKey(const fs::path& file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t number = line.find_first_not_of(": \t", key.size());
    if (number == key.size() || number == line.npos) continue;  // a longer key
    const auto value = ToNumber(std::string_view(line).substr(number));
    return value && line.ends_with(" kB") ? *value * 1024 : value;
  }
  return std::nullopt;
}

struct Hierarchy {
  bool v2;
  fs::path mount;  // where it is mounted
  fs::path top;    // which of its groups is there
  fs::path own;    // the group of this process
};

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

bool Contains(const std::vector<std::string>& list, std::string_view item) {
  return std::ranges::find(list, item) != list.end();
}

// Of /proc/self/cgroup: "0::/path" and "4:memory,hugetlb:/path" (cgroups(7)).
std::optional<fs::path> OwnGroup(const fs::path& root, bool v2) {
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? line.starts_with("0::") : Contains(Split(controllers, ','), "memory")) return line.substr(second + 1);
  }
  return std::nullopt;
}

// Of /proc/self/mountinfo (proc(5)): the fourth field is what of the file system is mounted, the fifth where.
std::vector<Hierarchy> Hierarchies(const fs::path& root) {
  std::vector<Hierarchy> found;
  std::ifstream in(root / "proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == line.npos) continue;
    const auto mount = Split(line.substr(0, dash), ' ');
    const auto type = Split(line.substr(dash + 3), ' ');
    if (mount.size() < 5 || type.empty()) continue;
    const bool v2 = type[0] == "cgroup2";
    if (!v2 && (type[0] != "cgroup" || !Contains(Split(type.back(), ','), "memory"))) continue;
    const auto own = OwnGroup(root, v2);
    if (own) found.push_back({v2, root / fs::path(mount[4]).relative_path(), mount[3], *own});
  }
  return found;
}

// The directories of the group of this process and of those above it, as far as they can be seen.
std::vector<fs::path> Groups(const Hierarchy& hierarchy) {
  const fs::path below = hierarchy.own.lexically_relative(hierarchy.top);
  std::vector<fs::path> groups = {hierarchy.mount};
  // In a namespace of its own, or mounted from outside of it, only the top can be named.
  if (below.empty() || *below.begin() == "..") return groups;
  for (const fs::path& part : below) {
    if (part != ".") groups.push_back(groups.back() / part);
  }
  return groups;
}

std::optional<std::uint64_t> RoomOfGroup(const fs::path& group, bool v2) {
  std::optional<std::uint64_t> limit;
  const std::vector<const char*> limits =
      v2 ? std::vector{"memory.max", "memory.high"} : std::vector{"memory.limit_in_bytes"};
  for (const char* name : limits) {
    const auto one = ReadNumber(group / name);
    if (one && *one < kNoLimit) limit = std::min(limit.value_or(*one), *one);
  }
  const auto used = ReadNumber(group / (v2 ? "memory.current" : "memory.usage_in_bytes"));
  if (!limit || !used) return std::nullopt;
  const fs::path stat = group / "memory.stat";
  const auto inactive = ReadKey(stat, v2 ? "inactive_file" : "total_inactive_file").value_or(0);
  const auto active = ReadKey(stat, v2 ? "active_file" : "total_active_file").value_or(0);
  const std::uint64_t held = *used - std::min(*used, inactive + active / 2);
  return *limit - std::min(*limit, held);
}

}  // namespace

std::optional<MemoryRoom> ReadMemoryRoom(const fs::path& root) {
  std::optional<MemoryRoom> least;
  const auto consider = [&](std::uint64_t bytes, std::string bound_by) {
    if (!least || bytes < least->bytes) least = MemoryRoom{bytes, std::move(bound_by)};
  };
  if (const auto available = ReadKey(root / "proc/meminfo", "MemAvailable")) consider(*available, "MemAvailable");
  for (const Hierarchy& hierarchy : Hierarchies(root)) {
    for (const fs::path& group : Groups(hierarchy)) {
      if (const auto room = RoomOfGroup(group, hierarchy.v2)) consider(*room, group.native());
    }
  }
  return least;
}

std::optional<ProcessMemory> ReadProcessMemory(pid_t pid) {
  const fs::path status = fmt::format("/proc/{}/status", pid);
  const auto resident = ReadKey(status, "VmRSS");
  const auto peak = ReadKey(status, "VmHWM");
  if (!resident || !peak) return std::nullopt;
  return ProcessMemory{*resident, *peak};
}

}  // namespace lazaret::clamav
