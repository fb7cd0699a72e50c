#include "config/describe.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/field.h"
#include "config/value.h"

namespace lazaret::config {
namespace {

constexpr std::size_t kWidth = 100;

// `text` in lines of at most kWidth bytes, each with `prefix` in front, broken between words.
std::string Wrap(std::string_view text, std::string_view prefix) {
  std::string out;
  while (!text.empty()) {
    const std::size_t room = kWidth - prefix.size();
    std::size_t length = text.size();
    if (length > room) {
      length = text.rfind(' ', room);
      if (length == text.npos || length == 0) length = std::min(text.find(' '), text.size());
    }
    out += fmt::format("{}{}\n", prefix, text.substr(0, length));
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return out;
}

std::string_view OriginOf(const Loaded& loaded, std::string_view key) {
  const auto found = loaded.origins.find(key);
  return found == loaded.origins.end() ? std::string_view("default") : found->second;
}

std::string Shown(const Field& field, const Config& config) {
  const std::string value = ShowValue(field, config);
  return value.empty() ? "empty" : value;
}

}  // namespace

std::string DescribeFields(const Config& defaults) {
  std::string out;
  std::string_view section;
  for (const Field& field : Fields()) {
    if (field.Section() != section) {
      section = field.Section();
      out += fmt::format("\n[{}]\n", section);
    }
    const std::string value = field.kind == Kind::kSwitch ? "" : fmt::format(" {}", field.Placeholder());
    const std::string flag = field.flag.empty() ? "" : fmt::format("  or  {}{}", field.flag, value);
    out += fmt::format("  {}={}{}\n", field.key, field.Placeholder(), flag);
    out += Wrap(field.help, "      ");
    out += Wrap(fmt::format("{}; default {}", field.Allowed(), Shown(field, defaults)), "      ");
  }
  return out;
}

std::string SampleFile(const Config& defaults) {
  std::string out =
      "# Settings of lazaret. Every line that begins with #name = is a setting at its default.\n"
      "# Sizes: 64KiB, 2GiB (powers of 1024), 500MB (powers of 1000) or bytes. Times: 500ms, 30s, 5m, 2h, 7d.\n"
      "# The environment (LAZARET_HTTP_MAX_CONNECTIONS for http.max_connections) overrides this file, flags override\n"
      "# both. Look at the outcome with: lazaret config check --config FILE\n";
  std::string_view section;
  for (const Field& field : Fields()) {
    if (field.Section() != section) {
      section = field.Section();
      out += fmt::format("\n[{}]\n", section);
    }
    const std::string_view name = field.key.substr(field.key.rfind('.') + 1);
    out += "\n" + Wrap(field.help, "# ") + Wrap(fmt::format("Allowed: {}.", field.Allowed()), "# ");
    out += fmt::format("#{} = {}\n", name, ShowTomlValue(field, defaults));
  }
  return out;
}

std::string CheckText(const Loaded& loaded) {
  std::string out = "The configuration is valid.\n\n";
  std::size_t width = 0;
  for (const Field& field : Fields()) width = std::max(width, field.key.size());
  for (const Field& field : Fields()) {
    const std::string value = ShowTomlValue(field, loaded.config);
    const std::string_view origin = OriginOf(loaded, field.key);
    out += fmt::format("{:<{}} = {:<24} # {}\n", field.key, width, value, origin);
  }
  return out;
}

std::string CheckJson(const Loaded& loaded) {
  std::string settings;
  for (const Field& field : Fields()) {
    settings += fmt::format(R"({}"{}":{{"value":{},"shown":"{}","origin":"{}"}})", settings.empty() ? "" : ",",
                            field.key, ShowJsonValue(field, loaded.config), EscapeJson(ShowValue(field, loaded.config)),
                            EscapeJson(OriginOf(loaded, field.key)));
  }
  return fmt::format(R"({{"ok":true,"settings":{{{}}}}})", settings) + "\n";
}

std::string ProblemsText(const Problems& problems) {
  std::string out = fmt::format("The configuration has {}:\n",
                                problems.size() == 1 ? "an error" : fmt::format("{} errors", problems.size()));
  for (const std::string& problem : problems) out += fmt::format("  {}\n", problem);
  return out;
}

std::string ProblemsJson(const Problems& problems) {
  std::string list;
  for (const std::string& problem : problems) {
    list += fmt::format(R"({}"{}")", list.empty() ? "" : ",", EscapeJson(problem));
  }
  return fmt::format(R"({{"ok":false,"problems":[{}]}})", list) + "\n";
}

}  // namespace lazaret::config
