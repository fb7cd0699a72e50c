#pragma once

namespace lazaret::scanner {

// Has OpenSSL read its configuration and load what libclamav hashes with (MD5, SHA-1, SHA-256). It does so at the
// first use otherwise (OPENSSL_init_crypto(3)), which in a scanner comes after the files are out of reach. False when
// one of the three is missing: hash signatures would not match then.
bool PreloadDigests();

}  // namespace lazaret::scanner
