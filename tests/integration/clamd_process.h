#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "clamav/clamd_address.h"
#include "integration/test_directory.h"

namespace lazaret::tests {

inline constexpr std::string_view kClamdMarker = "lazaret-clamd-marker-91c4";

struct ClamdOptions {
  std::vector<std::string> settings;  // lines of clamd.conf
  bool tcp = false;                   // listen on a port of 127.0.0.1 instead of a Unix socket
  unsigned daily = 28'129;            // the number of its daily database
  bool knows_eicar = true;
  std::filesystem::path signatures;  // a directory to use instead of a daily database
};

// What whoever listens at `address` answers to one command; empty when nobody does.
std::string AskClamd(const clamav::ClamdAddress& address, std::string_view command);

// A clamd of our own, with a daily database, if it is given no other, that knows EICAR and kClamdMarker; the marker's
// name tells the database's number: "Test.Set28129.UNOFFICIAL". The kernel kills it when the test dies.
class ClamdProcess {
 public:
  // Returns when it answers. `name` is its own below `root`.
  ClamdProcess(const TestDirectory& root, const std::string& name, ClamdOptions options = {});
  ~ClamdProcess();
  ClamdProcess(const ClamdProcess&) = delete;
  ClamdProcess& operator=(const ClamdProcess&) = delete;

  // After Kill: once more at the same address.
  void Start();
  // SIGKILL; returns when it has gone.
  void Kill();
  void Signal(int number) const;
  // Changes the database and has it loaded; returns at once.
  void Reload(unsigned daily);
  std::string Ask(std::string_view command) const { return AskClamd(address_, command); }

  const clamav::ClamdAddress& address() const { return address_; }
  std::string Flag() const { return "--clamd=" + address_.Text(); }
  pid_t pid() const { return pid_; }

 private:
  void WriteSignatures() const;

  const TestDirectory& root_;
  const std::string name_;
  ClamdOptions options_;
  clamav::ClamdAddress address_;
  pid_t pid_ = 0;
};

}  // namespace lazaret::tests
