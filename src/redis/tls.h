#pragma once

#include <openssl/types.h>
#include <boost/asio/ssl/context.hpp>

#include <memory>
#include <string>

#include "base/result.h"
#include "redis/url.h"

namespace lazaret::redis {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// TLS 1.2 or newer, with the files of `options`, which are read now. The server must show a certificate that is
// trusted. kUnavailable names the file that cannot be read or does not fit.
Result<TlsContext> MakeTlsContext(const TlsOptions& options);

// Makes `ssl` send `name` (SNI) and demand a certificate for it: a host name, or an address in its usual form.
void DemandName(SSL* ssl, const std::string& name);

}  // namespace lazaret::redis
