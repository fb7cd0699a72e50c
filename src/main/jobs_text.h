#pragma once

#include <boost/json/object.hpp>

#include <string>

#include "base/clock.h"

// What `lazaret jobs` prints for people from the JSON of http/job_json.h; every text ends with a newline. Members that
// are missing, as from a server of another version, are left out.
namespace lazaret {

// {"jobs":[...],"counts":{...}} as a table with a header and a line of counts.
std::string JobTable(const boost::json::object& list, WallTime now);

// All about one job, a line each.
std::string JobDetails(const boost::json::object& job, WallTime now);

}  // namespace lazaret
