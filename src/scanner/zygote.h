#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "scanner/clamav_engine.h"
#include "scanner/huge_pages.h"
#include "scanner/isolation.h"
#include "scanner/match_state.h"
#include "scanner/oom_score.h"
#include "scanner/sandbox.h"
#include "wire/scanner_protocol.h"

namespace lazaret::scanner {

// Loads the signatures once and forks scanners that share them (wire/scanner_protocol.h). Single-threaded for life:
// libclamav is not safe to fork beside other threads. Never blocks on the server.
class Zygote {
 public:
  // `parent` is the server's process.
  Zygote(UniqueFd control, pid_t parent, Mounts mounts)
      : control_(std::move(control)), parent_(parent), mounts_(mounts) {}

  // Serves until the server closes the control socket, then ends the scanners. Returns the exit status of the process;
  // a reason for a failure has gone to the server or to standard error. The process must end by _exit(2): freeing the
  // signatures takes long.
  int Run();

 private:
  struct Slot {
    pid_t pid = 0;  // 0: free
    UniqueFd pidfd;
  };
  struct Outgoing {
    std::vector<std::byte> message;
    std::vector<UniqueFd> fds;
  };

  struct Measures {
    std::optional<Result<HugePages>> huge_pages;
    std::optional<Result<MatchStateFiles>> match_state_files;
  };

  Result<wire::LoadRequest> ReceiveLoadRequest();
  Result<void> Load(const wire::LoadRequest& request);
  // The first half of the measures for speed that were asked for, while /proc can be seen; then, when all is loaded,
  // the second, with a warning for each that cannot be taken.
  static Measures PrepareMeasures(const wire::LoadRequest& request);
  std::vector<std::string> SpeedUp(Measures measures);
  Result<void> TrySandbox();
  Result<void> Serve();
  Result<void> HandleRequest();
  void Fork(std::uint32_t slot);
  SandboxRules RulesFor(std::uint32_t slot) const;
  [[noreturn]] void BecomeScanner(std::uint32_t slot, UniqueFd socket, pid_t zygote,
                                  std::optional<MatchStateFiles> match_state_files);
  void Reap();
  Result<void> Flush();
  void Send(std::vector<std::byte> message, std::vector<UniqueFd> fds = {});
  void EndScanners();

  UniqueFd control_;
  pid_t parent_;
  Mounts mounts_;
  UniqueFd child_signals_;
  OomScore oom_score_;
  wire::LoadRequest request_;
  std::unique_ptr<Isolation> isolation_;
  std::unique_ptr<ClamavEngine> engine_;
  std::optional<MatchStateFiles> match_state_files_;
  std::vector<Slot> slots_;
  std::deque<Outgoing> outgoing_;
};

}  // namespace lazaret::scanner
