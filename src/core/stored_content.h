#pragma once

#include <cstdint>
#include <string>

#include "aio/blocking_pool.h"
#include "base/unique_fd.h"
#include "core/content.h"

namespace lazaret {

// A content that was read back from a store and has the digest that is claimed here: the caller has hashed it.
ContentPtr MakeMemoryContent(const Digest& digest, std::string bytes);
// `fd` cannot write. It is closed on `pool`, which must outlive the content: the last close of a deleted file frees its
// blocks, which takes tens of milliseconds for each gigabyte.
ContentPtr MakeFileContent(const Digest& digest, std::uint64_t size, UniqueFd fd, aio::BlockingPool& pool);

}  // namespace lazaret
