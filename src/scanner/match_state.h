#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lazaret::scanner {

// A measure for speed. For each layer libclamav makes three arrays with a number for each of the 64 possible parts of
// each logical signature (cli_ac_initdata, libclamav/matcher-ac.c): 3 × 62 MB for a Windows program, of which it fills
// two with a constant and reads or changes next to nothing. Here the arrays are private mappings of a file that holds
// the constant, the same two megabytes again and again: what is only read is shared by all scanners, what is written is
// copied by the kernel page by page, and what was written is gone when the layer is done.
class MatchStateFiles {
 public:
  // Kept by whoever forks scanners; to be called while /proc can be seen. kUnavailable when this libclamav lays its
  // match state out otherwise than ours expects (that of 1.4), or when the kernel lacks sealed memory files.
  static Result<MatchStateFiles> Make();

  static constexpr int kCount = 2;
  // The same files for one scanner: opened anew for reading, since an open file description that processes share, its
  // offset and flags, is something that one of them could leave to the others. Only in the process that called Make.
  Result<MatchStateFiles> ForScanner() const;
  // Moves the files to the descriptors `first` and the one after it, which are closed before; for a process that closes
  // all others.
  Result<void> MoveTo(int first);

  // From now on match states of this process are such mappings. The files must stay open.
  void Use() const;

  // The two, sealed: nobody can write into them, a scanner that was taken over neither (memfd_create(2)).
  int zeroes() const { return zeroes_.Get(); }
  int no_offsets() const { return no_offsets_.Get(); }

 private:
  MatchStateFiles(UniqueFd zeroes, UniqueFd no_offsets, UniqueFd descriptors)
      : zeroes_(std::move(zeroes)), no_offsets_(std::move(no_offsets)), descriptors_(std::move(descriptors)) {}

  UniqueFd zeroes_;
  UniqueFd no_offsets_;
  UniqueFd descriptors_;  // the directory /proc/self/fd of the process that called Make
};

// Signatures from which on a match state is mapped; below it filling is cheaper.
inline constexpr std::uint32_t kLeastMappedSignatures = 256;

}  // namespace lazaret::scanner
