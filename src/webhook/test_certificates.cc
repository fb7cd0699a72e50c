#include "webhook/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <stdexcept>

namespace lazaret::webhook {
namespace {

template <class T, void (*free)(T*)>
struct Free {
  void operator()(T* object) const { free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY, EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Free<X509, X509_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO, BIO_free_all>>;

void Require(bool done) {
  if (!done) throw std::runtime_error("OpenSSL cannot make the test's certificate");
}

template <class Write>
std::string ToPem(Write write) {
  const Bio bio(BIO_new(BIO_s_mem()));
  Require(bio != nullptr && write(bio.get()) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

Bio Reader(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

void AddExtension(X509* certificate, X509V3_CTX* context, int nid, const std::string& value) {
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, context, nid, value.c_str());
  Require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

// Signed by `issuer`, or by itself without one.
Certificate Make(const CertificateOptions& options, const Certificate* issuer, bool authority) {
  const Key key(EVP_EC_gen("P-256"));
  const X509Ptr certificate(X509_new());
  Require(key != nullptr && certificate != nullptr);
  X509* const x509 = certificate.get();
  unsigned char serial[8];
  Require(RAND_bytes(serial, sizeof serial) == 1);
  serial[0] = 1;
  const std::unique_ptr<BIGNUM, Free<BIGNUM, BN_free>> number(BN_bin2bn(serial, sizeof serial, nullptr));
  Require(number != nullptr && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509)) != nullptr);
  Require(X509_set_version(x509, X509_VERSION_3) == 1 && X509_set_pubkey(x509, key.get()) == 1);
  const auto offset = [](std::chrono::hours hours) { return static_cast<long>(std::chrono::seconds(hours).count()); };
  X509_gmtime_adj(X509_getm_notBefore(x509), offset(options.valid_from));
  X509_gmtime_adj(X509_getm_notAfter(x509), offset(options.valid_from + options.valid_for));
  X509_NAME* const name = X509_get_subject_name(x509);
  const auto* const text = reinterpret_cast<const unsigned char*>(options.common_name.c_str());
  Require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1);

  X509Ptr parent;
  Key parent_key;
  if (issuer != nullptr) {
    parent.reset(PEM_read_bio_X509(Reader(issuer->certificate).get(), nullptr, nullptr, nullptr));
    parent_key.reset(PEM_read_bio_PrivateKey(Reader(issuer->key).get(), nullptr, nullptr, nullptr));
    Require(parent != nullptr && parent_key != nullptr);
  }
  Require(X509_set_issuer_name(x509, parent ? X509_get_subject_name(parent.get()) : name) == 1);
  X509V3_CTX context;
  X509V3_set_ctx(&context, parent ? parent.get() : x509, x509, nullptr, nullptr, 0);
  AddExtension(x509, &context, NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!options.names.empty()) {
    std::string names;
    for (const std::string& alternative : options.names) names += (names.empty() ? "" : ",") + alternative;
    AddExtension(x509, &context, NID_subject_alt_name, names);
  }
  Require(X509_sign(x509, parent_key ? parent_key.get() : key.get(), EVP_sha256()) > 0);
  return {.certificate = ToPem([&](BIO* bio) { return PEM_write_bio_X509(bio, x509); }),
          .key = ToPem([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

}  // namespace

TestAuthority::TestAuthority() : own_(Make({.common_name = "lazaret test authority"}, nullptr, true)) {}

Certificate TestAuthority::Issue(const CertificateOptions& options) const { return Make(options, &own_, false); }

Certificate TestAuthority::IssueSelfSigned(const CertificateOptions& options) { return Make(options, nullptr, false); }

}  // namespace lazaret::webhook
