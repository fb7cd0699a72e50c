#include "config/toml_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <optional>

#include "config/field.h"

namespace lazaret::config {
namespace {

std::string_view TypeName(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a section";
    case toml::node_type::array: return "a list";
    case toml::node_type::string: return "a string";
    case toml::node_type::integer: return "a number";
    case toml::node_type::floating_point: return "a number with a fraction";
    case toml::node_type::boolean: return "a boolean";
    default: return "a date or time";
  }
}

std::string_view WantedType(const Field& field) {
  if (field.IsList()) return "a list of strings";
  switch (field.kind) {
    case Kind::kCount: return "a whole number";
    case Kind::kSize: return "a size: a string such as \"64KiB\", or a whole number of bytes";
    case Kind::kRate: return "a rate: a string such as \"1KiB/s\", or a whole number of bytes per second";
    case Kind::kDuration: return "a string with a time and its unit, such as \"30s\"";
    case Kind::kSwitch: return "true or false without quotes";
    case Kind::kMode: return "a string with an octal number, such as \"0660\"";
    default: return "a string";
  }
}

// The value as text for SetField; empty when it has the wrong type.
std::optional<std::vector<std::string>> TextsOf(const toml::node& node, const Field& field) {
  const auto number = [&] { return std::vector{std::to_string(node.as_integer()->get())}; };
  const auto text = [&] { return std::vector{node.as_string()->get()}; };
  if (const toml::array* list = node.as_array(); list != nullptr && field.IsList()) {
    std::vector<std::string> texts;
    for (const toml::node& element : *list) {
      if (!element.is_string()) return std::nullopt;
      texts.push_back(element.as_string()->get());
    }
    return texts;
  }
  switch (field.kind) {
    case Kind::kCount:
      if (node.is_integer()) return number();
      return std::nullopt;
    case Kind::kSize:
    case Kind::kRate:
      if (node.is_integer()) return number();
      break;
    case Kind::kSwitch:
      if (node.is_boolean()) return std::vector<std::string>{node.as_boolean()->get() ? "true" : "false"};
      return std::nullopt;
    default: break;
  }
  if (node.is_string()) return text();
  return std::nullopt;
}

bool IsSection(std::string_view name) { return std::ranges::find(Fields(), name, &Field::Section) != Fields().end(); }

std::string_view NearestSection(std::string_view name) {
  return std::ranges::min(Fields(), {},
                          [&](const Field& field) {
                            return field.Section().empty() ? name.size() + 1 : EditDistance(name, field.Section());
                          })
      .Section();
}

class Walker {
 public:
  explicit Walker(std::string_view name) : name_(name) {}

  void Walk(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      // A dot inside a quoted key is not a step into a section.
      const bool quoted = key.str().find('.') != std::string_view::npos;
      const std::string path = prefix + (quoted ? '"' + std::string(key.str()) + '"' : std::string(key.str()));
      Visit(path, key, node);
    }
  }

  std::string At(const toml::source_position& position) const {
    return name_ + ":" + std::to_string(position.line) + ":" + std::to_string(position.column);
  }

  TomlFile file;

 private:
  void Visit(const std::string& path, const toml::key& key, const toml::node& node) {
    if (const Field* field = FindField(path); field != nullptr) {
      const std::string origin = At(node.source().begin);
      const std::string subject = origin + ": " + path;
      if (auto texts = TextsOf(node, *field)) {
        file.given.push_back(Given{path, *std::move(texts), origin, subject});
      } else {
        file.problems.push_back(subject + ": is " + std::string(TypeName(node)) + " but must be " +
                                std::string(WantedType(*field)) + " (allowed: " + field->Allowed() + ")");
      }
      return;
    }
    const std::string at = At(key.source().begin);
    if (IsSection(path)) {
      if (node.is_table()) return Walk(*node.as_table(), path + ".");
      file.problems.push_back(at + ": " + path + ": is a section, not a value: write [" + path + "]");
    } else if (node.is_table() && path.find('.') == path.npos) {
      file.problems.push_back(at + ": " + path + ": no such section; the nearest is " +
                              std::string(NearestSection(path)));
    } else {
      file.problems.push_back(at + ": " + path + ": " + UnknownKey(path));
    }
  }

  std::string name_;
};

}  // namespace

std::string UnknownKey(std::string_view key) {
  return "no such setting; the nearest is " + std::string(NearestField(key).key);
}

TomlFile ParseTomlFile(std::string_view text, std::string_view name) {
  Walker walker(name);
  // The packaged library was built to throw.
  try {
    walker.Walk(toml::parse(text, name), "");
  } catch (const toml::parse_error& error) {
    walker.file.problems.push_back(walker.At(error.source().begin) + ": " + std::string(error.description()));
  }
  return std::move(walker.file);
}

}  // namespace lazaret::config
