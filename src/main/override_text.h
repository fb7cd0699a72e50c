#pragma once

#include <boost/json/object.hpp>

#include <string>

#include "base/clock.h"

namespace lazaret {

// What `lazaret override list` prints for people from {"overrides":[...]} (http/override_json.h): a table with a header
// and a line that counts. Members that are missing, as from a server of another version, are left out.
std::string OverrideTable(const boost::json::object& list, WallTime now);

}  // namespace lazaret
