#include "webhook/http_post.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "webhook/answer_reader.h"

namespace lazaret::webhook {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

std::string HeadOf(const PostRequest& request) {
  std::string head = fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: lazaret/{}\r\n", request.url.target,
                                 request.url.HostField(), LAZARET_VERSION);
  for (const auto& [name, value] : request.fields) head += fmt::format("{}: {}\r\n", name, value);
  head += fmt::format("Content-Length: {}\r\nConnection: close\r\n\r\n", request.body.size());
  return head;
}

}  // namespace

struct HttpPoster::Tls {
  asio::ssl::context context{asio::ssl::context::tls_client};
};

// One request under way.
class HttpPoster::Attempt {
 public:
  Attempt(HttpPoster& poster, const PostRequest& request, SteadyTime deadline)
      : poster_(poster), request_(request), url_(request.url), deadline_(deadline) {}

  aio::Task<Result<unsigned>> Run() {
    auto result = co_await aio::WithDeadline(Send(), deadline_, "");
    if (status_) co_return *status_;
    if (result.error().code == Errc::kTimeout) co_return Fail(Errc::kTimeout, std::string(doing_) + " took too long");
    co_return std::unexpected(std::move(result.error()));
  }

 private:
  // Ends when the answer has been read as far as it goes; `status_` is there then.
  aio::Task<Result<void>> Send() {
    auto addresses = co_await Vetted();
    if (!addresses) co_return std::unexpected(addresses.error());
    auto connected = co_await Connect(*addresses);
    if (!connected) co_return std::unexpected(connected.error());
    tcp::socket socket = *std::move(connected);
    if (!url_.tls) co_return co_await Exchange(socket);
    asio::ssl::stream<tcp::socket&> stream(socket, poster_.tls_->context);
    auto trusted = co_await Handshake(stream);
    if (!trusted) co_return trusted;
    co_return co_await Exchange(stream);
  }

  // The addresses that may be connected to. There is no other look at the name after this one.
  aio::Task<Result<aio::Addresses>> Vetted() {
    doing_ = "looking up the name";
    aio::Addresses all;
    if (url_.address) {
      all.push_back(*url_.address);
    } else {
      auto found = co_await poster_.resolver_.Resolve(url_.host, deadline_);
      if (!found) co_return found;
      all = *std::move(found);
    }
    aio::Addresses vetted;
    std::ranges::copy_if(all, std::back_inserter(vetted),
                         [this](const asio::ip::address& address) { return poster_.policy_.MayConnect(address); });
    if (vetted.empty()) {
      co_return Fail(Errc::kMalformed,
                     fmt::format("{} leads to {}, which is not public and not listed in webhook.private_networks",
                                 url_.host, all.front().to_string()));
    }
    vetted.resize(std::min(vetted.size(), kMaxAddresses));
    co_return vetted;
  }

  aio::Task<Result<tcp::socket>> Connect(const aio::Addresses& addresses) {
    doing_ = "connecting";
    std::string why;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      // An address that swallows packets leaves time for the others and for the request.
      const auto now = std::chrono::steady_clock::now();
      const SteadyTime until = now + (deadline_ - now) / static_cast<int>(addresses.size() - i + 1);
      tcp::socket socket(co_await asio::this_coro::executor);
      const auto connected = co_await aio::WithDeadline(ConnectTo(socket, addresses[i]), until, "no answer");
      if (connected) co_return socket;
      why =
          fmt::format("cannot connect to {} port {}: {}", addresses[i].to_string(), url_.port, connected.error().what);
    }
    co_return Fail(Errc::kUnavailable, why);
  }

  aio::Task<Result<void>> ConnectTo(tcp::socket& socket, const asio::ip::address& address) {
    const auto [failed] = co_await socket.async_connect(tcp::endpoint(address, url_.port), kTuple);
    if (failed) co_return Fail(Errc::kUnavailable, failed.message());
    co_return Result<void>{};
  }

  aio::Task<Result<void>> Handshake(asio::ssl::stream<tcp::socket&>& stream) {
    doing_ = "agreeing on TLS";
    SSL* const ssl = stream.native_handle();
    X509_VERIFY_PARAM* const names = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(names, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    const bool set = url_.address ? X509_VERIFY_PARAM_set1_ip_asc(names, url_.host.c_str()) == 1
                                  : X509_VERIFY_PARAM_set1_host(names, url_.host.data(), url_.host.size()) == 1 &&
                                        SSL_set_tlsext_host_name(ssl, url_.host.c_str()) == 1;
    if (!set) throw std::runtime_error("cannot set the name that a certificate must have");
    const auto [failed] = co_await stream.async_handshake(asio::ssl::stream_base::client, kTuple);
    if (!failed) co_return Result<void>{};
    if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK) {
      co_return Fail(Errc::kUnavailable, fmt::format("the certificate of {} is not trusted: {}", url_.host,
                                                     X509_verify_cert_error_string(verdict)));
    }
    co_return Fail(Errc::kUnavailable, fmt::format("no TLS connection to {}: {}", url_.host, failed.message()));
  }

  template <class Stream>
  aio::Task<Result<void>> Exchange(Stream& stream) {
    doing_ = "sending the message";
    const std::string head = HeadOf(request_);
    const std::array<asio::const_buffer, 2> message = {asio::buffer(head), asio::buffer(request_.body)};
    const auto [failed, sent] = co_await asio::async_write(stream, message, kTuple);
    if (failed) {
      co_return Fail(Errc::kDisconnected, fmt::format("{} did not take the message: {}", url_.host, failed.message()));
    }
    doing_ = "waiting for the answer";
    AnswerReader answer;
    std::array<char, 4096> bytes;
    while (!answer.is_done()) {
      const auto [ended, count] = co_await stream.async_read_some(asio::buffer(bytes), kTuple);
      if (ended) break;
      const auto taken = answer.Feed({bytes.data(), count});
      if (!taken) co_return Fail(taken.error().code, fmt::format("{} {}", url_.host, taken.error().what));
      status_ = answer.status();
    }
    if (status_) co_return Result<void>{};
    co_return Fail(Errc::kDisconnected,
                   fmt::format("{} closed the connection before the end of its answer", url_.host));
  }

  HttpPoster& poster_;
  const PostRequest& request_;
  const CallbackUrl& url_;
  const SteadyTime deadline_;
  std::string_view doing_;
  std::optional<unsigned> status_;
};

HttpPoster::HttpPoster(std::unique_ptr<Tls> tls, const CallbackPolicy& policy, aio::Lookup lookup,
                       std::size_t max_lookups)
    : tls_(std::move(tls)), policy_(policy), resolver_(std::move(lookup), max_lookups) {}

HttpPoster::~HttpPoster() = default;

Result<std::unique_ptr<HttpPoster>> HttpPoster::Make(const std::string& ca_file, const CallbackPolicy& policy,
                                                     aio::Lookup lookup, std::size_t max_lookups) {
  auto tls = std::make_unique<Tls>();
  boost::system::error_code failed;
  if (ca_file.empty()) {
    tls->context.set_default_verify_paths(failed);
  } else {
    tls->context.load_verify_file(ca_file, failed);
  }
  if (failed) {
    return Fail(Errc::kUnavailable,
                fmt::format("webhook.ca_file: cannot read the certificates in {}: {}",
                            ca_file.empty() ? "the system's directory" : ca_file, failed.message()));
  }
  tls->context.set_verify_mode(asio::ssl::verify_peer);
  if (SSL_CTX_set_min_proto_version(tls->context.native_handle(), TLS1_2_VERSION) != 1) {
    throw std::runtime_error("OpenSSL has no TLS 1.2");
  }
  return std::unique_ptr<HttpPoster>(new HttpPoster(std::move(tls), policy, std::move(lookup), max_lookups));
}

aio::Task<Result<unsigned>> HttpPoster::Post(PostRequest request, SteadyTime deadline) {
  Attempt attempt(*this, request, deadline);
  co_return co_await attempt.Run();
}

}  // namespace lazaret::webhook
