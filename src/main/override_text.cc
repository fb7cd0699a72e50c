#include "main/override_text.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <vector>

#include <fmt/format.h>

#include "main/text.h"

namespace lazaret {

namespace json = boost::json;

std::string OverrideTable(const json::object& list, WallTime now) {
  std::vector<std::vector<std::string>> rows = {{"CONTENT", "VERDICT", "AGE", "UNTIL", "BY", "REASON"}};
  if (const json::value* const all = list.if_contains("overrides"); all != nullptr && all->is_array()) {
    for (const json::value& one : all->get_array()) {
      if (!one.is_object()) continue;
      const json::object& entry = one.get_object();
      const std::string signature = Text(entry, "signature");
      const std::string until = Text(entry, "until");
      rows.push_back({Text(entry, "id"), Text(entry, "verdict"), AgeOf(entry, "since", now),
                      until.empty() ? "-" : until, Text(entry, "by"),
                      (signature.empty() ? "" : signature + ": ") + Text(entry, "reason")});
    }
  }
  return Table(rows, {false, false, true, false, false, false}) + fmt::format("\n{} in force\n", rows.size() - 1);
}

}  // namespace lazaret
