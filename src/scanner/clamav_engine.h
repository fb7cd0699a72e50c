#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "scanner/findings.h"
#include "wire/scanner_protocol.h"

struct cl_engine;

namespace lazaret::scanner {

// libclamav 1.4 with its signatures: the only class that calls it. One per process (libclamav keeps process-wide
// state), single-threaded; after fork(2) each process goes on with its own copy.
class ClamavEngine {
 public:
  // Loads and compiles the signatures, which this process sees in `signature_directory`, and sets the limits of
  // `request`. Errors name the directory of the request and give libclamav's own words: kCorrupt when it
  // is the signatures' fault, kOverloaded when memory is short.
  static Result<ClamavEngine> Load(const wire::LoadRequest& request, const std::string& signature_directory);

  // Version, signatures, databases, features and load warnings.
  const wire::Ready& Info() const { return info_; }

  // Where this process's scans put their files, and a random sequence of its own for their names: with an inherited one
  // two processes would choose the same names, which libclamav takes for a clean scan.
  Result<void> BecomeScanner(const std::string& temp_directory);

  // Scans the content of `fd`. Fills in everything but the outcome's number and time.
  //
  // What libclamav leaves out and no caller can tell: it never looks at files of up to 5 bytes, be they the content or
  // inside of it, so that only signatures by hash or of up to 5 bytes are missed there. It compares the first 100 icons
  // of a program (of use to signatures with an icon only), follows HWP 3 documents 16 levels deep, and takes a regular
  // expression that gives up (PCRE_MATCH_LIMIT) or a bytecode signature that runs for a minute for one that does not
  // match. All of these can be raised, but they protect time and stack: a content that makes one step give up still
  // goes through every other.
  wire::Outcome Scan(int fd, std::uint64_t size, std::uint32_t time_limit_ms);

 private:
  struct FreeEngine {
    void operator()(cl_engine* engine) const;
  };

  ClamavEngine() = default;
  Result<void> Configure(const wire::LoadRequest& request);

  std::unique_ptr<cl_engine, FreeEngine> engine_;
  ScanLimits limits_{};
  bool has_rar_ = false;
  wire::Ready info_;
};

}  // namespace lazaret::scanner
