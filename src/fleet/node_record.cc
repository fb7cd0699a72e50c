#include "fleet/node_record.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "core/engine_encoding.h"

namespace lazaret::fleet {
namespace {

constexpr std::uint8_t kVersion = 2;

void WriteDatabases(FieldWriter& out, const EngineInfo& engine) {
  const std::size_t count = std::min(engine.databases.size(), kMaxNodeDatabases);
  out.Number(static_cast<std::uint32_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    const DatabaseVersion& database = engine.databases[i];
    out.Text(database.name);
    out.Number(database.version);
    out.Number(std::int64_t{database.built_at.time_since_epoch().count()});
  }
}

bool ReadDatabases(FieldReader& in, EngineInfo& engine) {
  const auto count = in.Number<std::uint32_t>();
  if (count > kMaxNodeDatabases) return false;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    std::string name = in.Text();
    const auto version = in.Number<std::uint32_t>();
    engine.databases.push_back({std::move(name), version, WallTime(milliseconds(in.Number<std::int64_t>()))});
  }
  return in.ok();
}

void WriteTime(FieldWriter& out, const std::optional<WallTime>& time) {
  out.Number(std::uint8_t{time.has_value()});
  if (time) out.Number(std::int64_t{time->time_since_epoch().count()});
}

bool ReadTime(FieldReader& in, std::optional<WallTime>& time) {
  const auto is_there = ReadFlag(in);
  if (is_there && *is_there) time = WallTime(milliseconds(in.Number<std::int64_t>()));
  return is_there.has_value();
}

std::optional<NodeRecord> Read(FieldReader& in) {
  if (in.Number<std::uint8_t>() != kVersion) return std::nullopt;
  NodeRecord node{.host = in.Text(), .role = in.Text(), .version = in.Text()};
  const auto takes_jobs = ReadFlag(in);
  node.slots = in.Number<std::uint32_t>();
  const auto has_engine = ReadFlag(in);
  if (!takes_jobs || !has_engine) return std::nullopt;
  node.takes_jobs = *takes_jobs;
  if (*has_engine) {
    auto engine = ReadEngine(in);
    if (!engine || !ReadDatabases(in, *engine)) return std::nullopt;
    if (!ReadTime(in, engine->files_at) || !ReadTime(in, engine->loaded_at)) return std::nullopt;
    node.engine = std::make_shared<const EngineInfo>(*std::move(engine));
  }
  if (!in.AtEnd()) return std::nullopt;
  return node;
}

}  // namespace

std::string EncodeNodeRecord(const NodeRecord& node) {
  FieldWriter out;
  out.Number(kVersion);
  out.Text(node.host);
  out.Text(node.role);
  out.Text(node.version);
  out.Number(std::uint8_t{node.takes_jobs});
  out.Number(node.slots);
  out.Number(std::uint8_t{node.engine != nullptr});
  if (node.engine != nullptr) {
    WriteEngine(out, *node.engine);
    WriteDatabases(out, *node.engine);
    WriteTime(out, node.engine->files_at);
    WriteTime(out, node.engine->loaded_at);
  }
  return out.Take();
}

Result<NodeRecord> DecodeNodeRecord(Bytes bytes) {
  FieldReader in(bytes);
  auto node = bytes.size() <= kMaxNodeRecordBytes ? Read(in) : std::nullopt;
  if (!node) return Fail(Errc::kCorrupt, "what a node says of itself in Redis cannot be read by this Lazaret");
  return *std::move(node);
}

}  // namespace lazaret::fleet
