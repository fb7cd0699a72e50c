#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "integration/processes.h"

namespace lazaret::tests {

struct ServerOptions {
  std::vector<std::string> arguments;  // of `lazaret serve`, behind those that every test needs
  std::filesystem::path data;          // --data
  std::filesystem::path signatures;    // --signatures
  std::string log_format = "json";
  std::optional<uid_t> user;  // to become before it starts; it must be able to reach `program`
  std::filesystem::path program = LAZARET_PROGRAM;
};

// A running `lazaret serve` on a port of 127.0.0.1 that the kernel chose. Destroying it kills it, and the kernel kills
// it when the test dies; its zygote and scanners go with it.
class ServerProcess {
 public:
  // Returns when it listens, or has ended.
  explicit ServerProcess(const ServerOptions& options);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // 0 when it never listened.
  std::uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }
  // Empty while there is none.
  std::optional<pid_t> ZygotePid() const;
  std::vector<pid_t> ScannerPids() const;

  // Halts all its scanners: what they are given then is being scanned until LetScannersGoOn, however long a test takes
  // to look. False when one does not stand still.
  bool HaltScanners() const;
  void LetScannersGoOn() const;

  // Whether /readyz says 200 within kPatience.
  bool WaitUntilReady() const;

  void Signal(int number) const;
  // Whether its end has been waited for.
  bool is_over() const { return status_.has_value(); }
  // The exit status, or minus the number of the signal that ended it; empty after kPatience.
  std::optional<int> WaitForEnd();
  // SIGTERM and the exit status.
  std::optional<int> Terminate();
  // SIGKILL: as a crash, or a power cut of the process, would.
  void Kill();

  // What it has written to standard error so far.
  std::vector<std::string> LogLines() const;
  std::string Log() const;
  // The first line that holds `text`, once there is one; empty after kPatience or when the server has ended without.
  std::optional<std::string> WaitForLog(std::string_view text) const;

 private:
  void ReadLog(UniqueFd from);

  pid_t pid_ = 0;
  std::uint16_t port_ = 0;
  std::optional<int> status_;
  mutable std::mutex mutex_;  // guards what follows
  mutable std::condition_variable grown_;
  std::vector<std::string> lines_;
  bool closed_ = false;
  std::jthread reader_;
};

}  // namespace lazaret::tests
