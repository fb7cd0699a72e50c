#include "scanner/sandbox_probes.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace lazaret::scanner {
namespace {

int ErrnoUnless(bool worked) { return worked ? 0 : errno; }

int Connect(const ProbeSurroundings&) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ErrnoUnless(::connect(STDIN_FILENO, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

int Execute(const ProbeSurroundings&) {
  char name[] = "true";
  char* const arguments[] = {name, nullptr};
  ::execve("/bin/true", arguments, arguments + 1);
  return errno;
}

int Fork(const ProbeSurroundings&) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  return ErrnoUnless(pid > 0);
}

int MapExecutable(const ProbeSurroundings&) {
  return ErrnoUnless(::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

int SetUpIoUring(const ProbeSurroundings&) {
  std::array<char, 256> parameters{};
  return ErrnoUnless(::syscall(SYS_io_uring_setup, 1, parameters.data()) >= 0);
}

constexpr std::array<SandboxProbe, 17> kProbes{{
    {"create-inside", true,
     [](const ProbeSurroundings& in) {
       return ErrnoUnless(::open((in.temp_directory + "/file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
     }},
    {"open-outside", false,
     [](const ProbeSurroundings&) { return ErrnoUnless(::open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0); }},
    {"create-outside", false,
     [](const ProbeSurroundings& in) {
       return ErrnoUnless(::open((in.temp_directory + "/../outside").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >=
                          0);
     }},
    {"socket-inet", false,
     [](const ProbeSurroundings&) { return ErrnoUnless(::socket(AF_INET, SOCK_STREAM, 0) >= 0); }},
    {"socket-unix", false,
     [](const ProbeSurroundings&) { return ErrnoUnless(::socket(AF_UNIX, SOCK_STREAM, 0) >= 0); }},
    {"connect", false, &Connect},
    {"execve", false, &Execute},
    {"fork", false, &Fork},
    {"ptrace", false,
     [](const ProbeSurroundings& in) {
       return ErrnoUnless(::ptrace(PTRACE_ATTACH, in.parent, nullptr, nullptr) == 0);
     }},
    {"kill-parent", false, [](const ProbeSurroundings& in) { return ErrnoUnless(::kill(in.parent, 0) == 0); }},
    {"tgkill-parent", false,
     [](const ProbeSurroundings& in) { return ErrnoUnless(::syscall(SYS_tgkill, in.parent, in.parent, 0) == 0); }},
    {"parent-memory", false,
     [](const ProbeSurroundings& in) {
       return ErrnoUnless(::open(("/proc/" + std::to_string(in.parent) + "/mem").c_str(), O_RDWR | O_CLOEXEC) >= 0);
     }},
    {"mmap-executable", false, &MapExecutable},
    {"io_uring_setup", false, &SetUpIoUring},
    {"bpf", false, [](const ProbeSurroundings&) { return ErrnoUnless(::syscall(SYS_bpf, 0, nullptr, 0) >= 0); }},
    {"unshare", false, [](const ProbeSurroundings&) { return ErrnoUnless(::unshare(CLONE_NEWUSER) == 0); }},
    {"mount", false,
     [](const ProbeSurroundings& in) {
       return ErrnoUnless(::mount("none", in.temp_directory.c_str(), "tmpfs", 0, nullptr) == 0);
     }},
}};

}  // namespace

std::span<const SandboxProbe> SandboxProbes() { return kProbes; }

const SandboxProbe* FindSandboxProbe(std::string_view name) {
  const auto* found = std::ranges::find(kProbes, name, &SandboxProbe::name);
  return found != kProbes.end() ? found : nullptr;
}

}  // namespace lazaret::scanner
