#include "scanner/digests.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace lazaret::scanner {

bool PreloadDigests() {
  if (::OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_ADD_ALL_DIGESTS, nullptr) != 1) return false;
  return std::ranges::all_of(std::array{"MD5", "SHA1", "SHA256"}, [](const char* name) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    const EVP_MD* const algorithm = ::EVP_get_digestbyname(name);
    return algorithm != nullptr && ::EVP_Digest("", 0, digest.data(), nullptr, algorithm, nullptr) == 1;
  });
}

}  // namespace lazaret::scanner
