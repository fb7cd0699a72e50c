#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "wire/scanner_protocol.h"

namespace lazaret::tests {

// A content as the server hands it over.
UniqueFd MakeContent(std::string_view bytes);

// A forked scanner, seen from the server.
struct Scanner {
  std::uint32_t slot;
  pid_t pid;
  UniqueFd socket;
  UniqueFd pidfd;

  Result<void> Send(const wire::ScanRequest& request, int content) const;
  Result<wire::Outcome> Receive() const;
  Result<wire::Outcome> Scan(std::string_view content, std::uint32_t time_limit_ms = 60'000) const;
  Result<wire::Outcome> ScanFile(const std::string& path) const;
  // SIGKILL through the pidfd, as the server does at a deadline.
  bool Kill() const;
};

// Whether the process behind `pidfd` ends; the minute that it may take is only there to end a broken test.
bool WaitForEnd(const UniqueFd& pidfd);

// Drives a zygote over its protocol as the server does. Every wait ends after a minute with kTimeout.
class ScannerProcess {
 public:
  // Starts `executable`; fails the process when it cannot be started.
  explicit ScannerProcess(const std::string& executable, const std::vector<std::string>& options = {});
  // Closes the control socket and waits.
  ~ScannerProcess();
  ScannerProcess(const ScannerProcess&) = delete;
  ScannerProcess& operator=(const ScannerProcess&) = delete;

  Result<void> SendRaw(Bytes message) const;
  // How many copies of `message` the socket takes, at most `most`, before it is full.
  int Flood(Bytes message, int most) const;
  Result<wire::FromZygote> Receive();
  // The answer to a load request.
  Result<wire::Ready> Load(const wire::LoadRequest& request);
  // kUnavailable with the zygote's words when it cannot.
  Result<Scanner> Fork(std::uint32_t slot);
  Result<wire::Exited> WaitForExit();

  pid_t Pid() const { return pid_; }
  const UniqueFd& Pidfd() const { return pidfd_; }
  // Closes the control socket; the exit status as of wait(2).
  std::optional<int> Close();
  std::optional<int> Wait();

 private:
  UniqueFd control_;
  pid_t pid_ = 0;
  UniqueFd pidfd_;
};

}  // namespace lazaret::tests
