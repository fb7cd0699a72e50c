#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace lazaret::scanner {

// Removes everything inside the directory that `directory` is open on: trees of any depth, any names, any modes,
// without following symbolic links and with few descriptors.
Result<void> EmptyDirectory(int directory);

// One temporary directory for each scanner slot: <root>/<slot>, mode 0700.
class TempSlots {
 public:
  TempSlots(std::string root, std::uint32_t slots) : root_(std::move(root)), slots_(slots) {}

  std::string Path(std::uint32_t slot) const;
  // The slot's directory is there and empty afterwards. Fails when it cannot be made or emptied, or when something else
  // lies in its place.
  Result<void> Renew(std::uint32_t slot) const;
  Result<void> RenewAll() const;
  Result<void> SetOwner(uid_t user, gid_t group) const;
  // Removes the directories that can be removed; mount points stay and vanish with their mount namespace.
  void RemoveAll() const;

 private:
  std::string root_;
  std::uint32_t slots_;
};

}  // namespace lazaret::scanner
