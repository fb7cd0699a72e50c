#include "redis/tls.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>

#include <stdexcept>

namespace lazaret::redis {
namespace asio = boost::asio;

Result<TlsContext> MakeTlsContext(const TlsOptions& options) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  boost::system::error_code failed;
  const auto failure = [&](std::string_view what, const std::string& file) {
    return Fail(Errc::kUnavailable, fmt::format("Redis over TLS: cannot use {} {}: {}", what, file, failed.message()));
  };
  if (options.ca_file.empty()) {
    context->set_default_verify_paths(failed);
    if (failed) return failure("the certificates of", "the system");
  } else {
    context->load_verify_file(options.ca_file, failed);
    if (failed) return failure("ca_file", options.ca_file);
  }
  if (!options.cert_file.empty()) {
    context->use_certificate_chain_file(options.cert_file, failed);
    if (failed) return failure("cert_file", options.cert_file);
    context->use_private_key_file(options.key_file, asio::ssl::context::pem, failed);
    if (failed) return failure("key_file", options.key_file);
  }
  context->set_verify_mode(asio::ssl::verify_peer);
  if (SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION) != 1) {
    throw std::runtime_error("OpenSSL has no TLS 1.2");
  }
  return context;
}

void DemandName(SSL* ssl, const std::string& name) {
  X509_VERIFY_PARAM* const names = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(names, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  boost::system::error_code not_an_address;
  asio::ip::make_address(name, not_an_address);
  const bool set = not_an_address ? X509_VERIFY_PARAM_set1_host(names, name.data(), name.size()) == 1 &&
                                        SSL_set_tlsext_host_name(ssl, name.c_str()) == 1
                                  : X509_VERIFY_PARAM_set1_ip_asc(names, name.c_str()) == 1;
  if (!set) throw std::runtime_error("cannot set the name that a certificate must have");
}

}  // namespace lazaret::redis
