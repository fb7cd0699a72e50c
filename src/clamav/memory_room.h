#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace lazaret::clamav {

// How much memory this process and its children may still take before somebody is killed for it.
struct MemoryRoom {
  std::uint64_t bytes;
  std::string bound_by;  // what is nearest: "MemAvailable" or the directory of a control group
};

// The least of what the machine has (MemAvailable of proc(5)) and what each control group above this process leaves, v1
// or v2 (memory.max and memory.high; Documentation/admin-guide/cgroup-v2.rst of Linux). Page cache counts as free as
// far as the kernel would give it up: all that is inactive, half of what is active. Empty when nothing of it can be
// read. `root` is where /proc and /sys are looked for, for tests.
std::optional<MemoryRoom> ReadMemoryRoom(const std::filesystem::path& root = "/");

// What a process has taken, in bytes (proc(5), status).
struct ProcessMemory {
  std::uint64_t resident;  // VmRSS
  std::uint64_t peak;      // VmHWM
};
std::optional<ProcessMemory> ReadProcessMemory(pid_t pid);

}  // namespace lazaret::clamav
