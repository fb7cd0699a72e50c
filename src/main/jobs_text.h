#pragma once

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

#include "base/clock.h"

// What `lazaret jobs` prints for people from the JSON of http/job_json.h; every text ends with a newline. Members that
// are missing, as from a server of another version, are left out.
namespace lazaret {

// {"jobs":[...],"counts":{...}} as a table with a header and a line of counts.
std::string JobTable(const boost::json::object& list, WallTime now);

// All about one job, a line each.
std::string JobDetails(const boost::json::object& job, WallTime now);

// "45s", "3m", "2h", "5d" since `time`; "0s" when that is to come.
std::string Age(WallTime time, WallTime now);

// "68B", "1.5KiB", "12MiB".
std::string ShortSize(std::uint64_t bytes);

// `text` without what a terminal would obey: notes and names may hold bytes from scanned files.
std::string Printable(std::string_view text);

}  // namespace lazaret
