#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace lazaret::webhook {

// A certificate and its key, made for one test (PEM).
struct Certificate {
  std::string certificate;
  std::string key;
};

// What is special about a certificate; the default is in order.
struct CertificateOptions {
  std::vector<std::string> names = {};  // subject alternative names as in x509v3_config(5): "DNS:a.example", "IP:::1"
  std::string common_name = "lazaret test";
  std::chrono::hours valid_from{-24};  // from now
  std::chrono::hours valid_for{48};
};

// An authority that exists in one test only.
class TestAuthority {
 public:
  TestAuthority();
  const std::string& certificate() const { return own_.certificate; }  // PEM
  Certificate Issue(const CertificateOptions& options) const;
  static Certificate IssueSelfSigned(const CertificateOptions& options);

 private:
  Certificate own_;
};

}  // namespace lazaret::webhook
