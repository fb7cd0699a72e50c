#pragma once

#include <optional>
#include <string_view>

#include "scanner/layer_check.h"

namespace lazaret::scanner {

// Formats of archives and encrypted messages that libclamav 1.4 takes for plain data, by how a content starts. Only
// those whose mark ordinary data does not have by chance.
std::optional<Incomplete> CheckFormat(std::string_view content);

// A tar file (POSIX pax, GNU) with sizes that libclamav does not read where other programs do: in a pax record "size",
// or as a binary number.
std::optional<Incomplete> CheckTar(std::string_view content);

}  // namespace lazaret::scanner
