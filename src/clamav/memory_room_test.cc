#include "clamav/memory_room.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace lazaret::clamav {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1 << 20;

// /proc and /sys as a system of our own making has them.
class MemoryRoomTest : public testing::Test {
 protected:
  MemoryRoomTest() : root_(fs::path(testing::TempDir()) / ("memory" + std::to_string(::getpid()))) {
    Write("proc/meminfo", "MemTotal:       16384000 kB\nMemAvailableX: 1 kB\nMemAvailable:    8192000 kB\n");
  }
  ~MemoryRoomTest() override { fs::remove_all(root_); }

  void Write(const fs::path& path, std::string_view text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void UseVersion2(std::string_view own, std::string_view top = "/") const {
    Write("proc/self/cgroup", "0::" + std::string(own) + "\n");
    Write("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:26 " + std::string(top) +
                                     " /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  void WriteGroup2(const fs::path& group, std::string_view max, std::uint64_t used, std::uint64_t inactive,
                   std::uint64_t active, std::string_view high = "max") const {
    const fs::path path = fs::path("sys/fs/cgroup") / group;
    Write(path / "memory.max", std::string(max) + "\n");
    Write(path / "memory.high", std::string(high) + "\n");
    Write(path / "memory.current", std::to_string(used) + "\n");
    Write(path / "memory.stat",
          "anon 1\ninactive_file " + std::to_string(inactive) + "\nactive_file " + std::to_string(active) + "\n");
  }
  std::uint64_t Room() const {
    const auto room = ReadMemoryRoom(root_);
    EXPECT_TRUE(room);
    return room ? room->bytes : 0;
  }

  const fs::path root_;
};

TEST_F(MemoryRoomTest, IsWhatTheMachineHas) {
  EXPECT_EQ(Room(), 8192000ull * 1024);
  EXPECT_EQ(ReadMemoryRoom(root_)->bound_by, "MemAvailable");
}

TEST_F(MemoryRoomTest, IsUnknownWithoutProc) { EXPECT_FALSE(ReadMemoryRoom(root_ / "nowhere")); }

TEST_F(MemoryRoomTest, IsWhatTheGroupLeaves) {
  UseVersion2("/system.slice/lazaret.service");
  WriteGroup2("system.slice/lazaret.service", std::to_string(2000 * kMiB), 1500 * kMiB, 100 * kMiB, 60 * kMiB);
  EXPECT_EQ(Room(), (2000 - 1500 + 100 + 30) * kMiB) << "inactive page cache, and half of the active";
  EXPECT_EQ(ReadMemoryRoom(root_)->bound_by, root_ / "sys/fs/cgroup/system.slice/lazaret.service");
}

TEST_F(MemoryRoomTest, IsBoundedByGroupsAbove) {
  UseVersion2("/system.slice/lazaret.service");
  WriteGroup2("system.slice/lazaret.service", "max", 300 * kMiB, 0, 0);
  WriteGroup2("system.slice", std::to_string(1000 * kMiB), 600 * kMiB, 0, 0);
  EXPECT_EQ(Room(), 400 * kMiB);
  WriteGroup2("system.slice", std::to_string(1000 * kMiB), 600 * kMiB, 0, 0, std::to_string(700 * kMiB));
  EXPECT_EQ(Room(), 100 * kMiB) << "memory.high slows down what is above it";
}

TEST_F(MemoryRoomTest, IsNeverNegative) {
  UseVersion2("/a");
  WriteGroup2("a", std::to_string(100 * kMiB), 101 * kMiB, 0, 0);
  EXPECT_EQ(Room(), 0u);
  WriteGroup2("a", std::to_string(100 * kMiB), 10 * kMiB, 20 * kMiB, 0);
  EXPECT_EQ(Room(), 100 * kMiB) << "no more than the limit";
}

TEST_F(MemoryRoomTest, KnowsTheTopOfAContainer) {
  // The group is named from outside, and what is mounted is it.
  UseVersion2("/", "/");
  WriteGroup2("", std::to_string(500 * kMiB), 100 * kMiB, 0, 0);
  EXPECT_EQ(Room(), 400 * kMiB);
  UseVersion2("/docker/0123", "/docker/0123");
  EXPECT_EQ(Room(), 400 * kMiB);
  UseVersion2("/../elsewhere", "/docker/0123");
  EXPECT_EQ(Room(), 400 * kMiB) << "at least what can be seen";
}

TEST_F(MemoryRoomTest, ReadsVersion1) {
  Write("proc/self/cgroup", "5:cpu,cpuacct:/other\n4:hugetlb,memory:/box/inner\n0::/\n");
  Write("proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
        "36 31 0:33 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
  const fs::path group = "sys/fs/cgroup/memory/box/inner";
  Write(group / "memory.limit_in_bytes", "9223372036854771712\n");
  Write(group / "memory.usage_in_bytes", std::to_string(300 * kMiB));
  EXPECT_EQ(Room(), 8192000ull * 1024) << "no limit";
  Write(group / "memory.limit_in_bytes", std::to_string(1000 * kMiB));
  Write(group / "memory.stat",
        "inactive_file 5\ntotal_inactive_file " + std::to_string(50 * kMiB) + "\ntotal_active_file 0\n");
  EXPECT_EQ(Room(), 750 * kMiB);
}

TEST(ProcessMemoryTest, IsThatOfAProcess) {
  const auto own = ReadProcessMemory(::getpid());
  ASSERT_TRUE(own);
  EXPECT_GT(own->resident, 100'000u);
  EXPECT_GE(own->peak, own->resident / 2);
  EXPECT_FALSE(ReadProcessMemory(-1));
}

}  // namespace
}  // namespace lazaret::clamav
