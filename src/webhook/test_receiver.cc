#include "webhook/test_receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <strings.h>
#include <sys/socket.h>

#include <signal.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include <fmt/format.h>

namespace lazaret::webhook {
namespace {

using SslContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using SslPtr = std::unique_ptr<SSL, decltype(&SSL_free)>;

SslContext MakeContext(const Certificate& own, int max_version) {
  SslContext context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  BIO* const certificate_text = BIO_new_mem_buf(own.certificate.data(), static_cast<int>(own.certificate.size()));
  BIO* const key_text = BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size()));
  X509* const certificate = PEM_read_bio_X509(certificate_text, nullptr, nullptr, nullptr);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr);
  SSL_CTX_use_certificate(context.get(), certificate);
  SSL_CTX_use_PrivateKey(context.get(), key);
  if (max_version != 0) {
    SSL_CTX_set_security_level(context.get(), 0);
    SSL_CTX_set_min_proto_version(context.get(), max_version);
    SSL_CTX_set_max_proto_version(context.get(), max_version);
  }
  X509_free(certificate);
  EVP_PKEY_free(key);
  BIO_free(certificate_text);
  BIO_free(key_text);
  return context;
}

}  // namespace

std::string Peer::ReadSome() {
  std::string bytes(16 * 1024, '\0');
  const auto count = ssl_ != nullptr ? SSL_read(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                     : ::recv(fd_, bytes.data(), bytes.size(), 0);
  failed_ = failed_ || (ssl_ == nullptr && count < 0);
  bytes.resize(static_cast<std::size_t>(std::max<decltype(count)>(count, 0)));
  return bytes;
}

bool Peer::Write(std::string_view bytes) {
  if (ssl_ != nullptr) return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0;
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool Peer::ReadToEnd() {
  while (!ReadSome().empty()) {
  }
  return !failed_;
}

void Peer::Reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

std::string ReceivedRequest::Field(std::string_view name) const {
  for (std::size_t at = head.find("\r\n"); at != head.npos; at = head.find("\r\n", at)) {
    at += 2;
    const std::string_view line = std::string_view(head).substr(at, head.find("\r\n", at) - at);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        ::strncasecmp(line.data(), name.data(), name.size()) == 0) {
      return std::string(line.substr(name.size() + 2));
    }
  }
  return "";
}

std::optional<ReceivedRequest> ReadRequest(Peer& peer) {
  ReceivedRequest request;
  std::string received;
  std::size_t end = received.npos;
  while (end == received.npos) {
    const std::string more = peer.ReadSome();
    if (more.empty()) return std::nullopt;
    received += more;
    end = received.find("\r\n\r\n");
  }
  request.head = received.substr(0, end + 4);
  request.body = received.substr(end + 4);
  const std::string length = request.Field("content-length");
  std::size_t size = 0;
  std::from_chars(length.data(), length.data() + length.size(), size);
  while (request.body.size() < size) {
    const std::string more = peer.ReadSome();
    if (more.empty()) return std::nullopt;
    request.body += more;
  }
  return request;
}

std::string Answer(int status, std::string_view fields) {
  return fmt::format("HTTP/1.1 {} Status\r\n{}Content-Length: 0\r\n\r\n", status, fields);
}

Receiver::Receiver(Handler handler, std::optional<Certificate> tls, const std::string& address)
    : handler_(std::move(handler)), tls_(std::move(tls)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  ::signal(SIGPIPE, SIG_IGN);  // SSL_write(3) raises it
  sockaddr_in own{};
  own.sin_family = AF_INET;
  socklen_t size = sizeof own;
  auto* const raw = reinterpret_cast<sockaddr*>(&own);
  if (::inet_pton(AF_INET, address.c_str(), &own.sin_addr) != 1 || ::bind(listener_.Get(), raw, size) != 0 ||
      ::listen(listener_.Get(), 128) != 0 || ::getsockname(listener_.Get(), raw, &size) != 0) {
    throw std::runtime_error("the test cannot listen on " + address);
  }
  port_ = ntohs(own.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

Receiver::~Receiver() {
  ::shutdown(listener_.Get(), SHUT_RDWR);
  acceptor_.join();
  {
    std::lock_guard lock(mutex_);
    for (const UniqueFd& fd : open_) ::shutdown(fd.Get(), SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

void Receiver::Accept() {
  for (;;) {
    const int fd = ::accept4(listener_.Get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    ++connections_;
    std::lock_guard lock(mutex_);
    open_.emplace_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void Receiver::Serve(int fd) {
  SslContext context(nullptr, &SSL_CTX_free);
  SslPtr ssl(nullptr, &SSL_free);
  bool ready = true;
  if (tls_) {
    context = MakeContext(*tls_, max_tls_version);
    ssl.reset(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), fd);
    ready = SSL_accept(ssl.get()) == 1;
  }
  if (ready) {
    Peer peer(fd, ssl.get());
    if (const char* name = ssl ? SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name) : nullptr) {
      peer.server_name_ = name;
    }
    handler_(peer);
  }
  ERR_clear_error();
  std::lock_guard lock(mutex_);
  std::erase_if(open_, [fd](const UniqueFd& open) { return open.Get() == fd; });
}

}  // namespace lazaret::webhook
