// Preloaded into a server (LD_PRELOAD), takes hashing out of it: every content then has the digest of nothing. What is
// left is what the server would cost without hashing. For measuring only.
#include <openssl/evp.h>

extern "C" int EVP_DigestUpdate(EVP_MD_CTX*, const void*, size_t) { return 1; }
