#pragma once

#include <functional>
#include <memory>
#include <string>

#include "aio/task.h"
#include "base/digest.h"
#include "base/result.h"

namespace lazaret {

// The leave to load signatures now, in a fleet that does so in turn. Destroying it gives it back, in the background; so
// does the end of this process, after a while.
class LoadTurn {
 public:
  virtual ~LoadTurn() = default;
};

// Asks for it, with the digest of the set that is to be loaded, and waits until it is there; `on_wait` hears whose turn
// it is instead, each time that this changes. An error: not now. On one executor; so are turns destroyed.
using AskForTurn = std::function<aio::Task<Result<std::unique_ptr<LoadTurn>>>(
    Digest candidate, std::function<void(const std::string&)> on_wait)>;

}  // namespace lazaret
