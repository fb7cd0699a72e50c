#pragma once

#include <cstdint>
#include <memory>

#include "base/digest.h"
#include "base/result.h"

namespace lazaret {

// The bytes of one submitted file: complete, immutable and hashed by us. Gives its spool space back when it goes.
class Content {
 public:
  virtual ~Content() = default;
  virtual const Digest& digest() const = 0;
  virtual std::uint64_t size() const = 0;
  // A descriptor of exactly these bytes, not writable through it by anybody, owned by the content and valid as long as
  // it. May create it at the first call. Not thread-safe. kOverloaded when the system has no descriptor left.
  virtual Result<int> Descriptor() = 0;
  // All the bytes, for as long as the content lives, when they lie in this process's memory; otherwise empty. Any
  // thread.
  virtual Bytes InMemory() const { return {}; }
};
// Shared by every request that waits for the scan of the same bytes.
using ContentPtr = std::shared_ptr<Content>;

}  // namespace lazaret
