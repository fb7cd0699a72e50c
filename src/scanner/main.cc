#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "scanner/check_sandbox.h"
#include "scanner/process.h"
#include "scanner/zygote.h"

namespace lazaret::scanner {
namespace {

constexpr int kUsageError = 2;

constexpr std::string_view kHelp =
    R"(lazaret-scanner: loads ClamAV signatures and scans contents in sandboxed processes.

The lazaret server starts it by itself and talks to it over a socket.

  --control-fd N      a SOCK_SEQPACKET socket that leads to the server
  --parent-pid P      the server's process: end when it is not the parent
  --no-mounts         plain temporary directories, as on a kernel that allows no mounts
  --check-sandbox     show what the sandbox of a scanner denies on this system; exit 0 when it holds
  --json              with --check-sandbox: as a JSON object
  --version           show the version
  --help              show this
)";

struct Options {
  std::optional<int> control_fd;
  std::optional<int> parent_pid;
  bool no_mounts = false;
  bool check_sandbox = false;
  bool json = false;
  bool help = false;
  bool version = false;
};

std::optional<int> ToNumber(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<Options> Parse(std::span<char*> arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    const auto number = [&](std::optional<int>& into) {
      if (++i < arguments.size()) into = ToNumber(arguments[i]);
      return into.has_value();
    };
    if (argument == "--help") {
      options.help = true;
    } else if (argument == "--version") {
      options.version = true;
    } else if (argument == "--check-sandbox") {
      options.check_sandbox = true;
    } else if (argument == "--no-mounts") {
      options.no_mounts = true;
    } else if (argument == "--json") {
      options.json = true;
    } else if (argument == "--control-fd") {
      if (!number(options.control_fd)) return std::nullopt;
    } else if (argument == "--parent-pid") {
      if (!number(options.parent_pid)) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  return options;
}

bool IsSeqpacket(int fd) {
  int type = 0, domain = 0;
  socklen_t length = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET &&
         ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX;
}

// Standard input, output and error stay; the control socket moves next to them; all else goes.
int KeepOnly(int control) {
  constexpr int kControl = 3;
  if (control != kControl && ::dup2(control, kControl) < 0) return -1;
  CloseFrom(kControl + 1);
  return kControl;
}

[[noreturn]] void ServeZygote(int control_fd, pid_t parent, Mounts mounts) {
  IgnoreTerminationSignals();
  if (!DieWithParent(parent)) ::_exit(1);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const int control = KeepOnly(control_fd);
  if (control < 0) ::_exit(1);
  Zygote zygote(UniqueFd(control), parent, mounts);
  ::_exit(zygote.Run());
}

int Main(std::span<char*> arguments) {
  const auto options = Parse(arguments);
  if (!options) {
    fmt::print(stderr, "lazaret-scanner: unknown or incomplete option\n\n{}", kHelp);
    return kUsageError;
  }
  if (options->help) {
    fmt::print("{}", kHelp);
    return 0;
  }
  if (options->version) {
    fmt::print("lazaret-scanner {}\n", LAZARET_VERSION);
    return 0;
  }
  if (options->check_sandbox) return CheckSandbox(options->json);
  if (!options->control_fd || *options->control_fd <= STDERR_FILENO || !IsSeqpacket(*options->control_fd)) {
    fmt::print(
        stderr,
        "lazaret-scanner: --control-fd must name a SOCK_SEQPACKET socket. The lazaret server starts this program "
        "by itself; try --help.\n");
    return kUsageError;
  }
  ServeZygote(*options->control_fd, options->parent_pid.value_or(::getppid()),
              options->no_mounts ? Mounts::kNone : Mounts::kPrivate);
}

}  // namespace
}  // namespace lazaret::scanner

int main(int argc, char** argv) {
  return lazaret::scanner::Main({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)});
}
