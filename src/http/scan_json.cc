#include "http/scan_json.h"

#include <cmath>
#include <cstdint>
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

// Appended piece by piece: most answers are made here, and a format string costs several times as much.
void Append(std::string& out, const auto&... pieces) { (out.append(std::string_view(pieces)), ...); }

std::string_view ToString(bool value) { return value ? "true" : "false"; }

void AppendSignatures(std::string& out, std::span<const std::string> names) {
  out += R"(,"signatures":[)";
  bool first = true;
  for (const std::string& name : names) {
    Append(out, first ? R"(")" : R"(,")", EscapeJson(name), R"(")");
    first = false;
  }
  out += ']';
}

void AppendVerdict(std::string& out, const Verdict& verdict) {
  Append(out, R"(,"verdict":")", lazaret::ToString(verdict.kind()), R"(")");
  if (verdict.kind() == VerdictKind::kUnscannable) {
    Append(out, R"(,"reason":")", lazaret::ToString(verdict.reason()), R"(")");
    if (!verdict.detail().empty()) Append(out, R"(,"detail":")", EscapeJson(verdict.detail()), R"(")");
  }
  AppendSignatures(out, verdict.signatures());
}

void AppendOverridden(std::string& out, const Override& entry) {
  Append(out, R"(,"verdict":")", lazaret::ToString(entry.kind), R"(")");
  AppendSignatures(out, std::span(&entry.signature, entry.kind == VerdictKind::kInfected ? 1 : 0));
}

// Nearly all answers name the same engine: each thread keeps the text of the last one.
void AppendEngine(std::string& out, const EngineInfoPtr& engine) {
  thread_local EngineInfoPtr last;
  thread_local std::string text;
  if (engine != last) {
    text = EngineJson(*engine);
    last = engine;
  }
  out += text;
}

// With one decimal; a time that is none, from a store perhaps, as 0.
void AppendTenths(std::string& out, double value) {
  const auto tenths = value >= 0 && value < 1e15 ? static_cast<std::uint64_t>(std::llround(value * 10)) : 0;
  Append(out, fmt::format_int(tenths / 10).c_str(), ".", fmt::format_int(tenths % 10).c_str());
}

// Of a verdict: what was scanned, when, and with what.
void AppendRecord(std::string& out, const Answer& answer) {
  const ScanRecord& record = answer.verdict->record();
  Append(out, R"(,"size":)", fmt::format_int(record.size).c_str(), R"(,"cached":)", ToString(answer.cached),
         R"(,"fresh":)", ToString(answer.fresh), R"(,"scanned_at":")");
  AppendRfc3339(out, record.scanned_at);
  out += R"(","scan_ms":)";
  AppendTenths(out, record.scan_ms);
  out += R"(,"engine":)";
  AppendEngine(out, record.engine);
}

}  // namespace

std::string VerdictMembers(const Verdict& verdict) {
  std::string out;
  AppendVerdict(out, verdict);
  return out;
}

std::string EngineJson(const EngineInfo& engine) {
  std::string out;
  Append(out, R"({"name":")", EscapeJson(engine.name), R"(","version":")", EscapeJson(engine.version),
         R"(","signature_set":")", EscapeJson(engine.signature_label), R"(")");
  if (engine.built_at) Append(out, R"(,"built_at":")", FormatRfc3339(*engine.built_at), R"(")");
  if (engine.test_set) out += R"(,"test_signatures_only":true)";
  out += '}';
  return out;
}

std::string ScanJson(const Digest& id, std::string_view name, const ScanState& state) {
  std::string out;
  out.reserve(512);
  out += R"({"id":")";
  id.AppendHex(out);
  Append(out, R"(","status":")", ToString(state.status), R"(")");
  const Override* const overriding = state.answer ? state.answer->overriding.get() : nullptr;
  if (overriding != nullptr) {
    AppendOverridden(out, *overriding);
  } else if (state.answer) {
    AppendVerdict(out, *state.answer->verdict);
  }
  if (!name.empty()) Append(out, R"(,"name":")", EscapeJson(name), R"(")");
  if (overriding != nullptr) {
    Append(out, R"(,"cached":)", ToString(state.answer->cached), R"(,"fresh":)", ToString(state.answer->fresh),
           R"(,"override":)", OverrideJson(*overriding));
  } else if (state.answer) {
    AppendRecord(out, *state.answer);
    if (state.dead_letter) out += R"(,"dead_letter":true)";
  } else {
    if (state.size) Append(out, R"(,"size":)", fmt::format_int(*state.size).c_str());
    if (state.submitted_at) Append(out, R"(,"submitted_at":")", FormatRfc3339(*state.submitted_at), R"(")");
  }
  out += '}';
  return out;
}

}  // namespace lazaret::http
