#include "http/scan_json.h"

#include <iterator>
#include <span>

#include <fmt/format.h>

#include "base/log.h"
#include "http/override_json.h"

namespace lazaret::http {
namespace {

std::string_view ToString(ScanStatus status) {
  switch (status) {
    case ScanStatus::kUnknown: return "unknown";
    case ScanStatus::kQueued: return "queued";
    case ScanStatus::kScanning: return "scanning";
    case ScanStatus::kDone: return "done";
  }
  return "unknown";
}

void AppendSignatures(std::string& out, std::span<const std::string> names) {
  auto to = std::back_inserter(out);
  out += R"(,"signatures":[)";
  bool first = true;
  for (const std::string& name : names) {
    fmt::format_to(to, R"({}"{}")", first ? "" : ",", EscapeJson(name));
    first = false;
  }
  out += ']';
}

void AppendVerdict(std::string& out, const Verdict& verdict) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, R"(,"verdict":"{}")", lazaret::ToString(verdict.kind()));
  if (verdict.kind() == VerdictKind::kUnscannable) {
    fmt::format_to(to, R"(,"reason":"{}")", lazaret::ToString(verdict.reason()));
    if (!verdict.detail().empty()) fmt::format_to(to, R"(,"detail":"{}")", EscapeJson(verdict.detail()));
  }
  AppendSignatures(out, verdict.signatures());
}

void AppendOverridden(std::string& out, const Override& entry) {
  fmt::format_to(std::back_inserter(out), R"(,"verdict":"{}")", lazaret::ToString(entry.kind));
  AppendSignatures(out, std::span(&entry.signature, entry.kind == VerdictKind::kInfected ? 1 : 0));
}

}  // namespace

std::string VerdictMembers(const Verdict& verdict) {
  std::string out;
  AppendVerdict(out, verdict);
  return out;
}

std::string EngineJson(const EngineInfo& engine) {
  std::string out = fmt::format(R"({{"name":"{}","version":"{}","signature_set":"{}")", EscapeJson(engine.name),
                                EscapeJson(engine.version), EscapeJson(engine.signature_label));
  if (engine.built_at) out += fmt::format(R"(,"built_at":"{}")", FormatRfc3339(*engine.built_at));
  if (engine.test_set) out += R"(,"test_signatures_only":true)";
  out += '}';
  return out;
}

std::string ScanJson(const Digest& id, std::string_view name, const ScanState& state) {
  std::string out;
  out.reserve(512);
  auto to = std::back_inserter(out);
  fmt::format_to(to, R"({{"id":"{}","status":"{}")", id.Hex(), ToString(state.status));
  const Override* const overriding = state.answer ? state.answer->overriding.get() : nullptr;
  if (overriding != nullptr) {
    AppendOverridden(out, *overriding);
  } else if (state.answer) {
    AppendVerdict(out, *state.answer->verdict);
  }
  if (!name.empty()) fmt::format_to(to, R"(,"name":"{}")", EscapeJson(name));
  if (overriding != nullptr) {
    fmt::format_to(to, R"(,"cached":{},"fresh":{},"override":{})", state.answer->cached, state.answer->fresh,
                   OverrideJson(*overriding));
  } else if (state.answer) {
    const ScanRecord& record = state.answer->verdict->record();
    fmt::format_to(to, R"(,"size":{},"cached":{},"fresh":{},"scanned_at":"{}","scan_ms":{:.1f},"engine":{})",
                   record.size, state.answer->cached, state.answer->fresh, FormatRfc3339(record.scanned_at),
                   record.scan_ms, EngineJson(*record.engine));
    if (state.dead_letter) out += R"(,"dead_letter":true)";
  } else {
    if (state.size) fmt::format_to(to, R"(,"size":{})", *state.size);
    if (state.submitted_at) fmt::format_to(to, R"(,"submitted_at":"{}")", FormatRfc3339(*state.submitted_at));
  }
  out += '}';
  return out;
}

}  // namespace lazaret::http
