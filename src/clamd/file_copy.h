#pragma once

#include <cstdint>
#include <expected>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "clamd/finding.h"
#include "core/content.h"
#include "spool/spool.h"

namespace lazaret::clamd {

// Copies a file that belongs to somebody else, and that may change meanwhile, into a content of ours: what is judged is
// what was read. Reads from the beginning on threads of `files`; `fd` stays the caller's. The error is the answer to
// the client: not a regular file, not readable, too large, no room.
aio::Task<std::expected<ContentPtr, Finding>> CopyFile(int fd, Spool& spool, aio::BlockingPool& files);

}  // namespace lazaret::clamd
