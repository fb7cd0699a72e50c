#include "core/stored_content.h"

#include <utility>

#include "base/memory_file.h"

namespace lazaret {
namespace {

class MemoryContent final : public Content {
 public:
  MemoryContent(const Digest& digest, std::string bytes) : digest_(digest), bytes_(std::move(bytes)) {}

  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return bytes_.size(); }
  Bytes InMemory() const override { return AsBytes(bytes_); }
  Result<int> Descriptor() override {
    if (fd_) return fd_.Get();
    auto fd = MakeSealedMemoryFile(InMemory());
    if (!fd) return std::unexpected(fd.error());
    fd_ = *std::move(fd);
    return fd_.Get();
  }

 private:
  const Digest digest_;
  const std::string bytes_;
  UniqueFd fd_;
};

class FileContent final : public Content {
 public:
  FileContent(const Digest& digest, std::uint64_t size, UniqueFd fd, aio::BlockingPool& pool)
      : digest_(digest), size_(size), fd_(std::move(fd)), pool_(pool) {}
  ~FileContent() override {
    pool_.Post([fd = std::move(fd_)] {});
  }

  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return size_; }
  Result<int> Descriptor() override { return fd_.Get(); }

 private:
  const Digest digest_;
  const std::uint64_t size_;
  UniqueFd fd_;
  aio::BlockingPool& pool_;
};

}  // namespace

ContentPtr MakeMemoryContent(const Digest& digest, std::string bytes) {
  return std::make_shared<MemoryContent>(digest, std::move(bytes));
}

ContentPtr MakeFileContent(const Digest& digest, std::uint64_t size, UniqueFd fd, aio::BlockingPool& pool) {
  return std::make_shared<FileContent>(digest, size, std::move(fd), pool);
}

}  // namespace lazaret
