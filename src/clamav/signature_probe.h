#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "clamav/generation.h"

namespace lazaret::clamav {

// What a set is tried out with, beside contents of our own that are known to be clean and the EICAR test file.
struct ProbeFiles {
  std::vector<std::filesystem::path> clean;     // must stay clean
  std::vector<std::filesystem::path> infected;  // must be found
};

struct ProbeReport {
  bool finds_eicar = false;
  std::vector<std::string> false_positives;  // "pdf: Test.Signature"
  std::vector<std::string> missed;           // paths of infected files that were not found
  std::vector<std::string> failures;         // what could not be scanned, and why
  std::vector<std::string> warnings;         // files that cannot be read: nobody can blame the set for it
};

// Has scanners of `generation`, which serves, scan all of it. A content that runs into a limit proves nothing, neither
// way: our own ones are skipped then. Returns at `deadline` at the latest; what was not scanned by then is a failure.
aio::Task<ProbeReport> Probe(GenerationPtr generation, const ProbeFiles& files, aio::BlockingPool& disk,
                             SteadyTime deadline);

}  // namespace lazaret::clamav
