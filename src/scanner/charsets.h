#pragma once

#include <cstddef>

namespace lazaret::scanner {

// Loads every conversion that libclamav may ask iconv(3) for, and the time zone, and keeps them loaded for the life of
// the process: glibc loads both from files on first use, which a sandboxed process cannot do. Returns how many
// conversions there are; fewer than
// CharsetConversions() when the C library's gconv modules are not all installed.
std::size_t PreloadCharsetsAndTimeZone();

std::size_t CharsetConversions();

}  // namespace lazaret::scanner
