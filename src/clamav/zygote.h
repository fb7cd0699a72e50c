#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "core/telemetry.h"
#include "wire/scanner_protocol.h"

namespace lazaret::clamav {

// A status of wait(2) for people: "signal SIGSEGV", "exit status 1".
std::string DescribeWaitStatus(int status);

// Whether this process may lower nice values again that it has raised, of its own or of others' processes.
bool CanLowerNice();

// One running zygote: the process that holds the signatures and forks scanners. One executor. Destroying it kills
// the process and, with it, every scanner that it forked.
class Zygote {
 public:
  // Starts `program`. Call it on a thread that lives as long as the server: the kernel kills the zygote when the
  // thread that started it ends (prctl(2), PR_SET_PDEATHSIG).
  static Result<std::unique_ptr<Zygote>> Spawn(const std::filesystem::path& program, const aio::Executor& executor);
  ~Zygote();
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;

  Result<void> Send(const std::vector<std::byte>& message);
  // The next message; kDisconnected once the zygote is gone.
  aio::Task<Result<Packet>> Receive();
  // SIGKILL, for one that hangs: Receive ends then.
  void Kill();
  // Lets it end by itself: it takes its scanners along and cleans up. What has not gone by `deadline` is killed. To
  // destroy it afterwards does not block, which giving back the memory of a large set otherwise does.
  aio::Task<> End(SteadyTime deadline);
  // The end of one that went by itself, such as "signal SIGKILL", waited for until `deadline`.
  aio::Task<std::string> DescribeEnd(SteadyTime deadline);
  // Its nice value (nice(7)); scanners that it forks inherit it.
  void SetNice(int nice) const;

  int pid() const { return pid_; }

 private:
  Zygote(int pid, UniqueFd pidfd, UniqueFd control, const aio::Executor& executor);

  int pid_;
  boost::asio::posix::stream_descriptor pidfd_;
  boost::asio::posix::stream_descriptor control_;
};

// One scanner process seen from the server. One executor, one scan at a time. Destroying it closes its socket, upon
// which the process ends; only Kill is sure to end one that hangs or was taken over by a content.
class ScannerProcess {
 public:
  ScannerProcess(const wire::Forked& forked, UniqueFd socket, UniqueFd pidfd, const aio::Executor& executor);
  ~ScannerProcess();

  // kDisconnected when the scanner died in the scan, kMalformed when it answered what no scanner of ours would,
  // kUnavailable when it had died before it saw the content.
  aio::Task<Result<wire::Outcome>> Scan(int content, std::uint64_t size, milliseconds time_limit);
  // SIGKILL; `why` is what its end will be counted as.
  void Kill(ScannerEnd why);
  bool IsAlive() const;
  // Nothing has come from it that nobody asked for.
  bool IsQuiet();

  std::uint32_t slot() const { return slot_; }
  int pid() const { return pid_; }
  std::uint64_t scans() const { return scans_; }
  ScannerEnd end() const { return end_; }
  SteadyTime started() const { return started_; }

 private:
  const std::uint32_t slot_;
  const int pid_;
  const SteadyTime started_;
  UniqueFd pidfd_;
  boost::asio::posix::stream_descriptor socket_;
  std::uint64_t scans_ = 0;
  ScannerEnd end_ = ScannerEnd::kCrashed;
};

}  // namespace lazaret::clamav
