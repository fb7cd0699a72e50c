#pragma once

#include <boost/json/object.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

// What the commands that ask a running server print for people from its JSON.
namespace lazaret {

// A member that is a text, as a terminal may have it; "" when it is missing.
std::string Text(const boost::json::object& object, std::string_view key);
// How long ago a member's time is, "" when it is missing.
std::string AgeOf(const boost::json::object& object, std::string_view key, WallTime now);

// Lines of columns, each as wide as its widest cell; `right_aligned` says of each column. Ends with a newline.
std::string Table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right_aligned);

// "45s", "3m", "2h", "5d" since `time`; "0s" when that is to come.
std::string Age(WallTime time, WallTime now);

// "68B", "1.5KiB", "12MiB".
std::string ShortSize(std::uint64_t bytes);

// `text` without what a terminal would obey: notes and names may hold bytes from scanned files.
std::string Printable(std::string_view text);

}  // namespace lazaret
