#pragma once

#include <concepts>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace lazaret {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// One key and its value in a log line. Numbers and booleans stay bare in JSON.
struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), text(v), quoted(true) {}
  LogField(std::string_view k, const char* v) : LogField(k, std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : LogField(k, std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), text(v ? "true" : "false"), quoted(false) {}
  template <class T>
    requires(std::integral<T> && !std::same_as<T, bool>)
  LogField(std::string_view k, T v) : key(k), text(std::to_string(v)), quoted(false) {}
  LogField(std::string_view k, double v);

  std::string_view key;
  std::string text;
  bool quoted;
};

// Writes one line per event to standard error: "<time> <level> <event> key=value ..." or a JSON object.
// Thread-safe. Never pass file names or contents at kInfo and above: ids, sizes, verdicts and times only.
class Log {
 public:
  Log(LogFormat format, LogLevel least);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  bool Enabled(LogLevel level) const;
  // `event` is a short fixed phrase that people can search for.
  void Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

  void Debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kDebug, event, fields);
  }
  void Info(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kInfo, event, fields);
  }
  void Warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kWarning, event, fields);
  }
  void Error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    Write(LogLevel::kError, event, fields);
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// `text` with everything escaped that would break a log line or a JSON string (RFC 8259 section 7); bytes that are
// not UTF-8 become U+FFFD.
std::string EscapeJson(std::string_view text);

}  // namespace lazaret
