#include "base/log.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/clock.h"

namespace lazaret {
namespace {

std::string_view Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "error";
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

// Length of the well-formed UTF-8 sequence at the start of `text` (RFC 3629), 0 if there is none.
std::size_t Utf8Length(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto tail = [&](std::size_t i) { return (at(i) & 0xC0u) == 0x80u; };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF && tail(1)) return 2;
  if (lead >= 0xE0 && lead <= 0xEF && tail(1) && tail(2)) {
    if (lead == 0xE0 && at(1) < 0xA0) return 0;
    if (lead == 0xED && at(1) > 0x9F) return 0;
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4 && tail(1) && tail(2) && tail(3)) {
    if (lead == 0xF0 && at(1) < 0x90) return 0;
    if (lead == 0xF4 && at(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

// Stands for itself in a JSON string.
constexpr bool IsPlain(char c) { return c >= ' ' && c < 0x7F && c != '"' && c != '\\'; }

// Written without branches: the compiler turns it into vector instructions.
bool IsAllPlain(std::string_view text) {
  bool plain = true;
  for (const char c : text) plain = plain & (c >= ' ') & (c < 0x7F) & (c != '"') & (c != '\\');
  return plain;
}

bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || static_cast<unsigned char>(c) >= 0x7F) return true;
  }
  return false;
}

}  // namespace

std::string EscapeJson(std::string_view text) {
  // Nearly all text is.
  if (IsAllPlain(text)) return std::string(text);
  std::string out;
  out.reserve(text.size() + 2);
  while (!text.empty()) {
    const auto plain = static_cast<std::size_t>(std::ranges::find_if_not(text, IsPlain) - text.begin());
    out.append(text, 0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto c = static_cast<unsigned char>(text.front());
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20 || c == 0x7F) {
      out += fmt::format("\\u{:04x}", c);
    } else if (const std::size_t length = Utf8Length(text); length > 0) {
      out += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    } else {
      out += "\\ufffd";
    }
    text.remove_prefix(1);
  }
  return out;
}

LogField::LogField(std::string_view k, double v) : key(k), text(fmt::format("{:.3f}", v)), quoted(false) {}

struct Log::Impl {
  LogFormat format;
  LogLevel least;
  spdlog::logger logger;
};

Log::Log(LogFormat format, LogLevel least)
    : impl_(new Impl{format, least, spdlog::logger("lazaret", std::make_shared<spdlog::sinks::stderr_sink_mt>())}) {
  impl_->logger.set_pattern("%v");
  impl_->logger.set_level(ToSpdlog(least));
}
Log::~Log() = default;

bool Log::Enabled(LogLevel level) const { return level >= impl_->least; }

void Log::Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!Enabled(level)) return;
  const std::string time = FormatRfc3339(SystemClock().Now());
  fmt::memory_buffer line;
  auto out = fmt::appender(line);
  if (impl_->format == LogFormat::kJson) {
    fmt::format_to(out, R"({{"time":"{}","level":"{}","event":"{}")", time, Name(level), EscapeJson(event));
    for (const LogField& field : fields) {
      if (field.quoted) {
        fmt::format_to(out, R"(,"{}":"{}")", field.key, EscapeJson(field.text));
      } else {
        fmt::format_to(out, R"(,"{}":{})", field.key, field.text);
      }
    }
    fmt::format_to(out, "}}");
  } else {
    fmt::format_to(out, "{} {:<7} {}", time, Name(level), event);
    for (const LogField& field : fields) {
      if (field.quoted && NeedsQuotes(field.text)) {
        fmt::format_to(out, " {}=\"{}\"", field.key, EscapeJson(field.text));
      } else {
        fmt::format_to(out, " {}={}", field.key, field.text);
      }
    }
  }
  impl_->logger.log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace lazaret
