#include "scanner/test_hooks.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <string_view>

#include "base/seqpacket.h"
#include "scanner/sandbox_probes.h"

namespace lazaret::scanner {
namespace {

void Spin(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

}  // namespace

void RunTestHook(int content, int socket) {
  std::array<char, 256> buffer;
  const ssize_t length = ::pread(content, buffer.data(), buffer.size(), 0);
  constexpr std::string_view kMark = "LAZARET-TEST-HOOK ";
  std::string_view text(buffer.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  if (!text.starts_with(kMark)) return;
  text = text.substr(kMark.size(), text.find('\n') - kMark.size());
  const std::string_view what = text.substr(0, text.find(' '));
  const std::string_view argument = what.size() < text.size() ? text.substr(what.size() + 1) : "";

  if (what == "crash") *static_cast<volatile int*>(nullptr) = 1;
  if (what == "exit") ::_exit(7);
  if (what == "garbage") (void)SendPacket(socket, AsBytes("garbage"));
  if (what == "sandbox") {
    if (const SandboxProbe* probe = FindSandboxProbe(argument)) probe->attempt({.temp_directory = "/tmp", .parent = 1});
  }
  if (what == "slow") {
    int milliseconds = 0;
    std::from_chars(argument.data(), argument.data() + argument.size(), milliseconds);
    Spin(std::chrono::milliseconds(milliseconds));
  }
  while (what == "hang") Spin(std::chrono::milliseconds(1));
}

}  // namespace lazaret::scanner
