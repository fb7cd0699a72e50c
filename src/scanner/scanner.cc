#include "scanner/scanner.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string_view>

#include "base/seqpacket.h"
#include "scanner/test_hooks.h"
#include "wire/scanner_protocol.h"

namespace lazaret::scanner {
namespace {

// Where a scanner's temporary files go.
class TempDirectory {
 public:
  explicit TempDirectory(const std::string& path) : path_(path), probe_(path + "/probe") {}

  bool IsUsable() const { return ::mkdir(probe_.c_str(), S_IRWXU) == 0 && ::rmdir(probe_.c_str()) == 0; }

  bool IsEmpty() const {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(path_.c_str()), &::closedir);
    if (entries == nullptr) return false;
    while (const dirent* entry = ::readdir(entries.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") return false;
    }
    return true;
  }

 private:
  std::string path_;
  std::string probe_;
};

wire::Outcome ScanOne(ClamavEngine& engine, const TempDirectory& temp, const wire::ScanRequest& request, int content) {
  if (temp.IsUsable()) return engine.Scan(content, request.size, request.time_limit_ms);
  wire::Outcome outcome;
  outcome.size = request.size;
  outcome.reason = wire::OutcomeReason::kTemporarySpace;
  outcome.detail = "the scanner's temporary directory cannot be used";
  return outcome;
}

}  // namespace

int RunScanner(ClamavEngine& engine, const SandboxRules& rules, UniqueFd socket) {
  if (!engine.BecomeScanner(rules.temp_directory) || !EnterSandbox(rules)) return kScannerNoSandbox;
  const TempDirectory temp(rules.temp_directory);
  for (;;) {
    auto packet = ReceivePacket(socket.Get());
    if (!packet) return packet.error().code == Errc::kDisconnected ? kScannerDone : kScannerMalformed;
    const auto request = wire::DecodeScanRequest(packet->bytes);
    if (!request || packet->fds.size() != 1) return kScannerMalformed;
    RunTestHook(packet->fds[0].Get(), socket.Get());

    const auto started = std::chrono::steady_clock::now();
    wire::Outcome outcome = ScanOne(engine, temp, *request, packet->fds[0].Get());
    const auto took = std::chrono::steady_clock::now() - started;
    outcome.number = request->number;
    outcome.scan_us = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    packet->fds.clear();
    // What was left behind would count against the next scan's space: the zygote cleans up after the process.
    outcome.is_last = !temp.IsEmpty();
    if (!SendPacket(socket.Get(), wire::Encode(outcome))) return kScannerNoSocket;
    if (outcome.is_last) return kScannerTempDir;
  }
}

}  // namespace lazaret::scanner
