#pragma once

#include <string_view>

#include "base/digest.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace lazaret {

// Files without a name, in memory: memfd_create(2). kOverloaded when the system has no descriptor or no memory left.
Result<UniqueFd> MakeMemoryFile();
// Writes at the descriptor's position until all is written; an error says that it happened while `doing`. Any file.
Result<void> WriteAll(int fd, Bytes bytes, std::string_view doing);
// From here on nobody can change the bytes any more, through whatever descriptor (fcntl(2), F_ADD_SEALS). `fd` has not
// been mapped for writing.
Result<void> SealMemoryFile(int fd);
// The three above.
Result<UniqueFd> MakeSealedMemoryFile(Bytes bytes);

}  // namespace lazaret
