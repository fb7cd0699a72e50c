#include "redis/script.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <stdexcept>
#include <vector>

namespace lazaret::redis {

Script::Script(std::string body) : body_(std::move(body)) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(body_.data(), body_.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL has no SHA-1");
  }
  for (unsigned i = 0; i < size; ++i) sha1_ += fmt::format("{:02x}", digest[i]);
}

Command Script::Make(std::string_view name, std::string_view script, std::span<const std::string> keys,
                     std::span<const std::string> arguments) {
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> all = {name, script, count};
  all.insert(all.end(), keys.begin(), keys.end());
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Command(all);
}

Command Script::ByName(std::span<const std::string> keys, std::span<const std::string> arguments) const {
  return Make("EVALSHA", sha1_, keys, arguments);
}

Command Script::Whole(std::span<const std::string> keys, std::span<const std::string> arguments) const {
  return Make("EVAL", body_, keys, arguments);
}

}  // namespace lazaret::redis
