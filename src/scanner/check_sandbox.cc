#include "scanner/check_sandbox.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "scanner/isolation.h"
#include "scanner/process.h"
#include "scanner/sandbox.h"
#include "scanner/sandbox_probes.h"

namespace lazaret::scanner {
namespace {

constexpr int kNoSandbox = 255;  // above every errno

struct Finding {
  std::string_view name;
  std::string text;
  bool as_it_must_be;
};

std::string ErrnoName(int error) {
  const char* name = ::strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

Finding Judge(const SandboxProbe& probe, int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    const char* name = ::sigabbrev_np(number);
    return {probe.name, fmt::format("denied (SIG{})", name != nullptr ? name : "?"),
            !probe.must_work && number == SIGSYS};
  }
  const int error = WEXITSTATUS(status);
  if (error == kNoSandbox) return {probe.name, "no sandbox", false};
  if (error == 0) return {probe.name, "ALLOWED", probe.must_work};
  const bool denied = error == EACCES || error == EPERM;
  return {probe.name, fmt::format("{} ({})", denied ? "denied" : "ALLOWED", ErrnoName(error)),
          !probe.must_work && denied};
}

Finding Try(const SandboxProbe& probe, const SandboxRules& rules) {
  const ProbeSurroundings surroundings{rules.temp_directory, ::getpid()};
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (!EnterSandbox(rules)) ::_exit(kNoSandbox);
    ::_exit(probe.attempt(surroundings));
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid) return {probe.name, "cannot fork", false};
  return Judge(probe, status);
}

void PrintText(const Isolation& isolation, const std::vector<Finding>& findings, bool ok) {
  for (const Finding& one : findings) {
    fmt::print("{:<16} {}{}\n", one.name, one.text, one.as_it_must_be ? "" : "   <- must not be");
  }
  fmt::print("Landlock version {}; isolated by: {}\n", LandlockVersion(), fmt::join(isolation.layers, ", "));
  for (const std::string& warning : isolation.warnings) fmt::print("note: {}\n", warning);
  fmt::print("{}\n", ok ? "The sandbox holds." : "The sandbox does NOT hold.");
}

void PrintJson(const Isolation& isolation, const std::vector<Finding>& findings, bool ok) {
  std::vector<std::string> items;
  for (const Finding& one : findings) {
    items.push_back(fmt::format(R"("{}":{{"result":"{}","ok":{}}})", one.name, one.text, one.as_it_must_be));
  }
  std::vector<std::string> layers;
  for (const std::string& layer : isolation.layers) layers.push_back(fmt::format(R"("{}")", layer));
  fmt::print("{{\"ok\":{},\"landlock\":{},\"isolation\":[{}],\"probes\":{{{}}}}}\n", ok, LandlockVersion(),
             fmt::join(layers, ","), fmt::join(items, ","));
}

int CheckIn(const std::string& scratch, bool json) {
  constexpr std::uint64_t kTempBytes = 1 << 20, kMemoryBytes = 1ull << 30;
  wire::LoadRequest request;
  request.temp_directory = scratch;
  request.temp_bytes = kTempBytes;
  request.max_files = 100;
  const auto isolation = Isolate(request, Mounts::kPrivate);
  if (!isolation) {
    fmt::print(stderr, "lazaret-scanner: {}\n", isolation.error().what);
    return 1;
  }
  std::vector<Finding> findings;
  bool ok = true;
  for (const SandboxProbe& probe : SandboxProbes()) {
    findings.push_back(Try(probe, {isolation->slots.Path(0), kTempBytes, kMemoryBytes}));
    ok &= findings.back().as_it_must_be;
  }
  json ? PrintJson(*isolation, findings, ok) : PrintText(*isolation, findings, ok);
  isolation->slots.RemoveAll();
  return ok ? 0 : 1;
}

}  // namespace

int CheckSandbox(bool json) {
  std::error_code error;
  std::string scratch = (std::filesystem::temp_directory_path(error) / "lazaret-sandbox-XXXXXX").string();
  if (error || ::mkdtemp(scratch.data()) == nullptr) {
    fmt::print(stderr, "lazaret-scanner: {}\n", SystemError("cannot make a scratch directory", errno).what);
    return 1;
  }
  std::fflush(nullptr);
  // In a child, so that the scratch directory can be removed outside of its mount namespace.
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int status = CheckIn(scratch, json);
    std::fflush(nullptr);
    ::_exit(status);
  }
  int status = 0;
  const bool waited = pid > 0 && ::waitpid(pid, &status, 0) == pid;
  std::filesystem::remove_all(scratch, error);
  return waited && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace lazaret::scanner
