#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace lazaret::http {

// What a user of this machine is called: its name, "uid 1000" without one, "unknown" when it is not known who it is.
std::string UserName(std::optional<uid_t> user);

}  // namespace lazaret::http
