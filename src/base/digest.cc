#include "base/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <stdexcept>

namespace lazaret {

std::optional<Digest> Digest::FromBytes(Bytes bytes) {
  if (bytes.size() != kSize) return std::nullopt;
  std::array<std::byte, kSize> copy;
  std::ranges::copy(bytes, copy.begin());
  return Digest(copy);
}

std::optional<Digest> Digest::FromHex(std::string_view hex) {
  if (hex.size() != 2 * kSize) return std::nullopt;
  const auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  std::array<std::byte, kSize> bytes;
  for (std::size_t i = 0; i < kSize; ++i) {
    const int high = nibble(hex[2 * i]);
    const int low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<std::byte>(high << 4 | low);
  }
  return Digest(bytes);
}

std::string Digest::Hex() const {
  std::string hex;
  AppendHex(hex);
  return hex;
}

void Digest::AppendHex(std::string& out) const {
  static constexpr char kDigits[] = "0123456789abcdef";
  const std::size_t begin = out.size();
  out.resize(begin + 2 * kSize);
  for (std::size_t i = 0; i < kSize; ++i) {
    const auto value = std::to_integer<unsigned>(bytes_[i]);
    out[begin + 2 * i] = kDigits[value >> 4];
    out[begin + 2 * i + 1] = kDigits[value & 15];
  }
}

namespace {

// Fetched once: a fetch at each start costs more than hashing a kilobyte (EVP_MD_fetch(3)). Immutable, never freed.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  bool is_started = false;

  ~Context() { EVP_MD_CTX_free(evp); }
  // Only when there is something to hash: most hashers are dropped after one content.
  void Start() {
    if (is_started) return;
    if (EVP_DigestInit_ex2(evp, Algorithm(), nullptr) != 1) throw std::runtime_error("OpenSSL cannot start SHA-256");
    is_started = true;
  }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (context_->evp == nullptr || Algorithm() == nullptr) throw std::runtime_error("OpenSSL has no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(Bytes bytes) {
  context_->Start();
  if (EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) != 1) throw std::runtime_error("SHA-256 failed");
}

Digest Sha256::Finish() {
  context_->Start();
  std::array<std::byte, Digest::kSize> bytes;
  unsigned length = 0;
  if (EVP_DigestFinal_ex(context_->evp, reinterpret_cast<unsigned char*>(bytes.data()), &length) != 1 ||
      length != bytes.size()) {
    throw std::runtime_error("SHA-256 failed");
  }
  context_->is_started = false;
  return Digest(bytes);
}

Digest Sha256::Of(Bytes bytes) {
  thread_local Sha256 hasher;           // making one costs as much as hashing a hundred bytes
  hasher.context_->is_started = false;  // what failed before may have left something
  hasher.Update(bytes);
  return hasher.Finish();
}

}  // namespace lazaret
