#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "clamav/signature_snapshot.h"
#include "clamav/signature_status.h"

namespace lazaret::clamav {

// A set that was in use, with its files.
struct KeptSet {
  SignatureSnapshot snapshot;
  SetSummary summary;
};

// The signature sets on our own disk: the one in use, the one before it, and what is known of them, so that a restart
// forgets neither. Lies in a directory that is ours alone. Everything that takes a while blocks; not thread-safe.
class SignatureStore {
 public:
  // `source` is where the sets come from; empty for the built-in test set. Kept sets from elsewhere are forgotten.
  static Result<SignatureStore> Open(std::filesystem::path directory, std::filesystem::path source);

  const std::optional<KeptSet>& current() const { return state_.current; }
  const std::optional<KeptSet>& previous() const { return state_.previous; }
  const std::optional<SignaturePin>& pin() const { return state_.pin; }

  // A snapshot of the source as it is now. As TakeSnapshot.
  Result<SignatureSnapshot> Take(SnapshotBy by) const;
  // The set of the source as it is now, without a snapshot of it.
  Result<Digest> DigestOfSource() const;

  // `set` is in use from now on; what was becomes the previous one. Lifts the pin, unless it is the set that was in use
  // already. An error says that a restart would not know; this object does.
  Result<void> Use(KeptSet set);
  // The previous set is in use again, for good until the source holds another set than the one that is left.
  Result<void> GoBack(SignaturePin pin, SetSummary summary);
  Result<void> LiftPin();
  // Removes a snapshot that is not used after all.
  void Drop(const SignatureSnapshot& snapshot) const;

  const std::filesystem::path& source() const { return source_; }

 private:
  struct State {
    std::optional<KeptSet> current;
    std::optional<KeptSet> previous;
    std::optional<SignaturePin> pin;
  };

  SignatureStore(std::filesystem::path directory, std::filesystem::path source)
      : directory_(std::move(directory)), source_(std::move(source)) {}
  void Read();
  std::optional<KeptSet> ReadSet(std::string_view line) const;
  Result<void> Write() const;
  void RemoveOthers() const;
  bool IsKept(const std::filesystem::path& name) const;

  std::filesystem::path directory_;
  std::filesystem::path source_;
  State state_;
};

}  // namespace lazaret::clamav
