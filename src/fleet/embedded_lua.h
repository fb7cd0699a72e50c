#pragma once

#include <string_view>

namespace lazaret::fleet {

// The text of a script of src/fleet/scripts ("job_submit.lua"), which is built into the program (cmake/EmbedLua.cmake).
// Throws when there is none.
std::string_view EmbeddedLua(std::string_view file);

}  // namespace lazaret::fleet
