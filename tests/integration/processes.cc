#include "integration/processes.h"

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

namespace lazaret::tests {
namespace {

struct ProcessState {
  char state;
  pid_t parent;
};

std::optional<ProcessState> StateOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  // The name of the program stands in parentheses and may hold anything.
  const std::size_t behind_name = line.rfind(')');
  if (behind_name == line.npos) return std::nullopt;
  std::istringstream rest(line.substr(behind_name + 1));
  ProcessState state{};
  if (!(rest >> state.state >> state.parent)) return std::nullopt;
  return state;
}

}  // namespace

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    pid_t child = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), child);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    const auto state = StateOf(child);
    if (state && state->parent == pid && state->state != 'Z') children.push_back(child);
  }
  return children;
}

std::uint64_t ResidentBytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6)) * 1024;
  }
  return 0;
}

milliseconds CpuTime(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t behind_name = line.rfind(')');
  if (behind_name == line.npos) return milliseconds(0);
  std::istringstream rest(line.substr(behind_name + 1));
  std::string passed_over;
  for (int field = 3; field < 14; ++field) rest >> passed_over;
  std::int64_t user = 0;
  std::int64_t system = 0;
  rest >> user >> system;
  return milliseconds((user + system) * 1000 / ::sysconf(_SC_CLK_TCK));
}

bool Halt(pid_t pid) {
  return ::kill(pid, SIGSTOP) == 0 && Eventually([&] {
           const auto state = StateOf(pid);
           return state && state->state == 'T';
         });
}

ProcessHandle::ProcessHandle(pid_t pid) : pid_(pid), fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

bool ProcessHandle::WaitForEnd() const {
  if (!fd_) return true;
  pollfd polled{fd_.Get(), POLLIN, 0};
  return ::poll(&polled, 1, static_cast<int>(milliseconds(kPatience).count())) == 1;
}

bool ProcessHandle::Kill() const {
  return fd_ && ::syscall(SYS_pidfd_send_signal, fd_.Get(), SIGKILL, nullptr, 0) == 0;
}

void Pause(milliseconds time) { std::this_thread::sleep_for(time); }

}  // namespace lazaret::tests
