#include "webhook/signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace lazaret::webhook {
namespace {

constexpr std::string_view kPrefix = "whsec_";
constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const unsigned char* Raw(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::string EncodeBase64(const unsigned char* bytes, std::size_t size) {
  std::string text((size + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock(3) ends it with a zero
  text.resize(static_cast<std::size_t>(
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes, static_cast<int>(size))));
  return text;
}

// Empty unless `text` is base64 in its one right form.
std::optional<std::vector<unsigned char>> DecodeBase64(std::string_view text) {
  const std::size_t digits = std::min(text.find('='), text.size());
  const std::size_t padding = text.size() - digits;
  // EVP_DecodeBlock(3) skips white space and takes padding anywhere.
  if (text.empty() || text.size() % 4 != 0 || padding > 2 || text.find_first_not_of(kDigits) < digits ||
      text.find_first_not_of('=', digits) != text.npos) {
    return std::nullopt;
  }
  std::vector<unsigned char> bytes(text.size() / 4 * 3);
  if (EVP_DecodeBlock(bytes.data(), Raw(text), static_cast<int>(text.size())) < 0) return std::nullopt;
  bytes.resize(bytes.size() - padding);
  if (EncodeBase64(bytes.data(), bytes.size()) != text) return std::nullopt;
  return bytes;
}

}  // namespace

Result<Signer> Signer::Parse(const std::vector<std::string>& secrets) {
  std::vector<std::vector<unsigned char>> keys;
  for (const std::string& secret : secrets) {
    auto key =
        secret.starts_with(kPrefix) ? DecodeBase64(std::string_view(secret).substr(kPrefix.size())) : std::nullopt;
    if (!key || key->size() < kMinSecretBytes || key->size() > kMaxSecretBytes) {
      return Fail(
          Errc::kMalformed,
          fmt::format("webhook.secret_file: number {} is not whsec_ and the base64 of {} to {} bytes; make one with: "
                      "echo \"whsec_$(openssl rand -base64 32)\"",
                      keys.size() + 1, kMinSecretBytes, kMaxSecretBytes));
    }
    keys.push_back(*std::move(key));
  }
  return Signer(std::move(keys));
}

Signer::~Signer() {
  for (auto& key : keys_) OPENSSL_cleanse(key.data(), key.size());
}

std::string Signer::Sign(std::string_view message_id, std::int64_t timestamp, std::string_view body) const {
  const std::string text = fmt::format("{}.{}.{}", message_id, timestamp, body);
  std::string signatures;
  for (const auto& key : keys_) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
    unsigned size = 0;
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Raw(text), text.size(), mac.data(), &size) ==
        nullptr) {
      throw std::runtime_error("HMAC-SHA256 failed");
    }
    if (!signatures.empty()) signatures += ' ';
    signatures += "v1," + EncodeBase64(mac.data(), size);
  }
  return signatures;
}

}  // namespace lazaret::webhook
