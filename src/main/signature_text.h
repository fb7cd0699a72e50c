#pragma once

#include <boost/json/object.hpp>

#include <string>

#include "base/clock.h"

// What `lazaret signatures` prints for people, from the JSON of signature_json.h.
namespace lazaret {

std::string SignatureStatusText(const boost::json::object& status, WallTime now);
std::string SignatureCheckText(const boost::json::object& check, WallTime now);

}  // namespace lazaret
