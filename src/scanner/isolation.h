#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "scanner/temp_slots.h"
#include "wire/scanner_protocol.h"

namespace lazaret::scanner {

// What the zygote and all its scanners are cut off from, and where the scanners may write.
struct Isolation {
  TempSlots slots;
  std::string signature_directory;    // where the process sees that of the request
  std::vector<std::string> layers;    // in force: "netns", "mountns", "tmpfs", "user"
  std::vector<std::string> warnings;  // what could not be had, and why
};

// Whether mounts of our own are tried at all.
enum class Mounts : bool { kNone, kPrivate };

// For the calling process, which must be single-threaded: own mount, network, IPC and UTS namespaces; in the own mount
// namespace a tmpfs over /run (or another directory that everybody may search) that holds one more tmpfs of limited
// size for each slot and a read-only view of the signatures; then the user of the request. So the data directory may
// lie where that user cannot go. Namespaces and mounts are tolerated to fail, which leaves plain directories. Fails
// when the temp directory cannot be used or the user cannot be become. Clears the parent death signal (prctl(2)).
Result<Isolation> Isolate(const wire::LoadRequest& request, Mounts mounts);

}  // namespace lazaret::scanner
