#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "core/verdict.h"

namespace lazaret::fleet {

// What a node says of itself.
struct NodeRecord {
  std::string host;
  std::string role;     // "all", "api", "worker"
  std::string version;  // of Lazaret
  bool takes_jobs = false;
  std::uint32_t slots = 0;         // scans at once
  EngineInfoPtr engine = nullptr;  // with its databases, without its isolation; null while it has none
};

// Longer records are not believed, nor are more databases.
inline constexpr std::size_t kMaxNodeRecordBytes = 64 * 1024;
inline constexpr std::size_t kMaxNodeDatabases = 256;

std::string EncodeNodeRecord(const NodeRecord& node);
// kCorrupt when the bytes are not what EncodeNodeRecord wrote.
Result<NodeRecord> DecodeNodeRecord(Bytes bytes);

}  // namespace lazaret::fleet
