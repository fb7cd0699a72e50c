#include "wire/header_value.h"

#include <fmt/format.h>

#include "wire/http_text.h"

namespace lazaret::wire {
namespace {

std::unexpected<Error> Malformed(std::string what) { return Fail(Errc::kMalformed, std::move(what)); }

// Takes a quoted string off the front of `rest`, which begins with its opening quote.
Result<std::string> TakeQuoted(std::string_view& rest) {
  std::string out;
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return out;
    }
    const bool escapes = rest[i] == '\\' && i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\');
    if (escapes) ++i;
    out += rest[i];
  }
  return Malformed("a quoted string is not closed");
}

std::string_view TakeToken(std::string_view& rest) {
  std::size_t end = 0;
  while (end < rest.size() && IsTokenChar(rest[end])) ++end;
  const std::string_view token = rest.substr(0, end);
  rest.remove_prefix(end);
  return token;
}

void SkipOws(std::string_view& rest) {
  while (!rest.empty() && IsOws(rest.front())) rest.remove_prefix(1);
}

}  // namespace

const std::string* ParameterizedValue::Find(std::string_view lower_case_name) const {
  for (const Parameter& parameter : parameters) {
    if (parameter.name == lower_case_name) return &parameter.value;
  }
  return nullptr;
}

Result<ParameterizedValue> ParseParameterizedValue(std::string_view text) {
  if (HasControl(text)) return Malformed(fmt::format("the value holds {}", NameFirstControl(text)));
  const std::size_t semicolon = text.find(';');
  ParameterizedValue out;
  out.value = TrimOws(text.substr(0, semicolon));
  std::string_view rest = semicolon == std::string_view::npos ? std::string_view() : text.substr(semicolon);
  while (!rest.empty()) {
    if (rest.front() != ';') return Malformed("a parameter is not followed by a semicolon");
    rest.remove_prefix(1);
    SkipOws(rest);
    if (rest.empty() || rest.front() == ';') continue;  // an empty parameter is allowed (RFC 9110 5.6.6)

    std::string name(TakeToken(rest));
    if (name.empty()) return Malformed("a parameter has no name");
    std::ranges::transform(name, name.begin(), ToLower);
    if (!rest.starts_with('=')) return Malformed(fmt::format("parameter {} has no value", name));
    rest.remove_prefix(1);
    std::string value;
    if (rest.starts_with('"')) {
      auto quoted = TakeQuoted(rest);
      if (!quoted) return std::unexpected(std::move(quoted.error()));
      value = *std::move(quoted);
    } else {
      value = TakeToken(rest);
      if (value.empty()) return Malformed(fmt::format("parameter {} is neither a token nor a quoted string", name));
    }
    if (out.Find(name) != nullptr) return Malformed(fmt::format("parameter {} is given twice", name));
    out.parameters.push_back({std::move(name), std::move(value)});
    SkipOws(rest);
  }
  return out;
}

}  // namespace lazaret::wire
