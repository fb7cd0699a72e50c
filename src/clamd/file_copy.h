#pragma once

#include <expected>

#include "aio/task.h"
#include "base/clock.h"
#include "clamd/file_pool.h"
#include "clamd/finding.h"
#include "core/content.h"
#include "spool/spool.h"

namespace lazaret::clamd {

// Copies a file that belongs to somebody else, and that may change meanwhile, into a content of ours: what is judged is
// what was read. Reads from the beginning, with `files`. The error is the answer to the client: not a regular file, not
// readable, too large, no room, not read before `deadline`.
aio::Task<std::expected<ContentPtr, Finding>> CopyFile(KeptFd fd, Spool& spool, FileShare files, SteadyTime deadline);

}  // namespace lazaret::clamd
