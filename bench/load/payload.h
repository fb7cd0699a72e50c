#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/result.h"

namespace lazaret::bench {

// What a request sends. Immutable; shared by all connections.
class Payload {
 public:
  virtual ~Payload() = default;
  virtual std::uint64_t size() const = 0;
  // The bytes from `offset` on that lie together: at least one where `offset` is less than the size.
  virtual Bytes From(std::uint64_t offset) const = 0;
  Digest ComputeDigest() const;
};

// The bytes of a file as they are when they are read; it must not shrink while the payload is there.
Result<std::unique_ptr<Payload>> MapFile(const std::filesystem::path& path);
// Text that repeats itself after a mebibyte; another one for each `seed`. Takes a mebibyte, or less when it is smaller.
std::unique_ptr<Payload> MakeText(std::uint64_t size, std::uint64_t seed);

// Something to send, what it is called in reports, and what must be found in it.
struct Item {
  std::string name;
  std::unique_ptr<Payload> payload;
  std::optional<Digest> digest{};     // when it was asked for
  std::optional<std::string> word{};  // the verdict that is expected
};

// Verdicts by name, as written by --answers: lines of name, verdict and detail between tabs.
using Answers = std::map<std::string, std::string, std::less<>>;
Result<Answers> ReadAnswers(const std::filesystem::path& path);

// All regular files below `root` in the order of their paths, named relative to it; those in `expected` with their
// verdict. kNotFound when there are none.
Result<std::vector<Item>> ReadCorpus(const std::filesystem::path& root, const Answers& expected);

// Items to ask for by their id, one of each line of a file: 64 hexadecimal digits. They have no bytes.
Result<std::vector<Item>> ReadIds(const std::filesystem::path& path);

}  // namespace lazaret::bench
