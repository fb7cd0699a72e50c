#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "clamav/signature_loader.h"

namespace lazaret::clamav {

// What was found out about the signatures of a directory.
struct SignatureCheck {
  Digest digest;
  std::size_t files;
  std::uint64_t bytes;
  std::optional<Refusal> refusal;  // why a server would not use them; empty when it would
  // Of signatures that load:
  EngineInfoPtr engine;  // null otherwise
  std::uint64_t load_ms = 0;
  bool finds_eicar = false;
  std::vector<std::string> load_errors;  // libclamav's
  std::vector<std::string> warnings;     // libclamav's, of the sandbox, and files of the probe that cannot be read
};

// Loads the signatures of `directory`, where they lie, in processes of their own and tries them out; the processes have
// gone when it returns. They are compared with `current`, when that is there. kNotFound when there are none. On a
// thread that lives as long as the call (see Zygote::Spawn).
aio::Task<Result<SignatureCheck>> CheckSignatures(std::filesystem::path directory, LoaderSettings loader,
                                                  ComparisonSettings comparison, std::optional<SetMeasure> current,
                                                  ScannerParts parts, aio::BlockingPool& disk);

}  // namespace lazaret::clamav
