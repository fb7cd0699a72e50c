#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lazaret {

using Bytes = std::span<const std::byte>;

inline Bytes AsBytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view AsText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A SHA-256 (FIPS 180-4). There is no empty digest: one exists only when something was hashed or read.
class Digest {
 public:
  static constexpr std::size_t kSize = 32;

  explicit Digest(const std::array<std::byte, kSize>& bytes) : bytes_(bytes) {}

  // Empty unless `bytes` is exactly 32 bytes long.
  static std::optional<Digest> FromBytes(Bytes bytes);
  // Empty unless `hex` is exactly 64 lower-case hexadecimal digits.
  static std::optional<Digest> FromHex(std::string_view hex);

  // 64 lower-case hexadecimal digits: the scan id of a content.
  std::string Hex() const;
  // The same at the end of `out`.
  void AppendHex(std::string& out) const;
  Bytes AsSpan() const { return bytes_; }

  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  std::array<std::byte, kSize> bytes_;
};

// Digests are uniformly distributed already: any eight of their bytes are a hash.
struct DigestHash {
  std::size_t operator()(const Digest& digest) const {
    std::size_t value;
    std::memcpy(&value, digest.AsSpan().data(), sizeof value);
    return value;
  }
};

// Hashes bytes as they arrive. Not thread-safe; reusable after Finish.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(Bytes bytes);
  // The digest of everything since construction or the last Finish; starts anew.
  Digest Finish();

  static Digest Of(Bytes bytes);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace lazaret
