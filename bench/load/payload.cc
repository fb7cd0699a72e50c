#include "load/payload.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "base/unique_fd.h"

namespace lazaret::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 1024 * 1024;

class MappedFile final : public Payload {
 public:
  MappedFile(const void* start, std::size_t size) : start_(start), size_(size) {}
  ~MappedFile() override {
    if (size_ > 0) ::munmap(const_cast<void*>(start_), size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::uint64_t size() const override { return size_; }
  Bytes From(std::uint64_t offset) const override {
    return Bytes(static_cast<const std::byte*>(start_), size_).subspan(std::min<std::uint64_t>(offset, size_));
  }

 private:
  const void* start_;
  const std::size_t size_;
};

class RepeatedText final : public Payload {
 public:
  RepeatedText(std::uint64_t size, std::uint64_t seed) : size_(size) {
    constexpr std::string_view kLetters = "etaoin shrdlu cmfwyp vbgkqjxz\n";
    std::mt19937_64 random(seed);
    block_.resize(std::min<std::uint64_t>(size, kBlock));
    for (char& letter : block_) letter = kLetters[random() % kLetters.size()];
  }

  std::uint64_t size() const override { return size_; }
  Bytes From(std::uint64_t offset) const override {
    if (offset >= size_) return {};
    const Bytes rest = AsBytes(block_).subspan(offset % kBlock);
    return rest.first(std::min<std::uint64_t>(rest.size(), size_ - offset));
  }

 private:
  const std::uint64_t size_;
  std::string block_;
};

}  // namespace

Digest Payload::ComputeDigest() const {
  Sha256 hasher;
  for (std::uint64_t offset = 0; offset < size();) {
    const Bytes piece = From(offset);
    hasher.Update(piece);
    offset += piece.size();
  }
  return hasher.Finish();
}

Result<std::unique_ptr<Payload>> MapFile(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info{};
  if (!fd || ::fstat(fd.Get(), &info) != 0) return std::unexpected(SystemError("opening " + path.native(), errno));
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return std::make_unique<MappedFile>(nullptr, 0);
  const void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.Get(), 0);
  if (start == MAP_FAILED) return std::unexpected(SystemError("mapping " + path.native(), errno));
  return std::make_unique<MappedFile>(start, size);
}

std::unique_ptr<Payload> MakeText(std::uint64_t size, std::uint64_t seed) {
  return std::make_unique<RepeatedText>(size, seed);
}

Result<Answers> ReadAnswers(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return Fail(Errc::kNotFound, "cannot read " + path.native());
  Answers answers;
  for (std::string line; std::getline(file, line);) {
    const std::size_t name_end = line.find('\t');
    if (name_end == line.npos) return Fail(Errc::kMalformed, fmt::format("{}: a line without a tab", path.native()));
    const std::size_t word_end = std::min(line.find('\t', name_end + 1), line.size());
    answers[line.substr(0, name_end)] = line.substr(name_end + 1, word_end - name_end - 1);
  }
  return answers;
}

Result<std::vector<Item>> ReadCorpus(const fs::path& root, const Answers& expected) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (auto entry = fs::recursive_directory_iterator(root, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->is_regular_file()) paths.push_back(entry->path());
  }
  if (error) return Fail(Errc::kNotFound, fmt::format("cannot read {}: {}", root.native(), error.message()));
  if (paths.empty()) return Fail(Errc::kNotFound, "there are no files below " + root.native());
  std::ranges::sort(paths);
  std::vector<Item> items;
  for (const fs::path& path : paths) {
    auto payload = MapFile(path);
    if (!payload) return std::unexpected(payload.error());
    Item item{path.lexically_relative(root), *std::move(payload)};
    if (const auto found = expected.find(item.name); found != expected.end()) item.word = found->second;
    items.push_back(std::move(item));
  }
  return items;
}

Result<std::vector<Item>> ReadIds(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return Fail(Errc::kNotFound, "cannot read " + path.native());
  std::vector<Item> items;
  for (std::string line; std::getline(file, line);) {
    const auto id = Digest::FromHex(line);
    if (!id) return Fail(Errc::kMalformed, fmt::format("{}: {} is no id", path.native(), line));
    items.push_back({.name = line, .payload = std::make_unique<MappedFile>(nullptr, 0), .digest = id});
  }
  if (items.empty()) return Fail(Errc::kNotFound, "there are no ids in " + path.native());
  return items;
}

}  // namespace lazaret::bench
