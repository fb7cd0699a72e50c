#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "webhook/test_certificates.h"

namespace lazaret::webhook {

// One connection as the receiver of a callback sees it. Blocking.
class Peer {
 public:
  Peer(int fd, SSL* ssl) : fd_(fd), ssl_(ssl) {}

  // Empty at the end of the stream or when the connection has failed.
  std::string ReadSome();
  // False when the client does not take any more.
  bool Write(std::string_view bytes);
  // Until the client ends the connection; whether it did so in order, not by a reset.
  bool ReadToEnd();
  void Reset();  // ends it as a crash would
  const std::string& server_name() const { return server_name_; }

 private:
  friend class Receiver;
  const int fd_;
  SSL* const ssl_;
  bool failed_ = false;
  std::string server_name_;  // that the client asked for (RFC 6066 3)
};

struct ReceivedRequest {
  std::string head;  // to the empty line
  std::string body;

  // The value of a field; empty when there is none.
  std::string Field(std::string_view name) const;
};

// Empty when the connection ends before the request does.
std::optional<ReceivedRequest> ReadRequest(Peer& peer);

// "HTTP/1.1 <status> ..." with an empty body.
std::string Answer(int status, std::string_view fields = "");

// A server on 127.0.0.1 (or another address) that does with each connection what a test says, on a thread of its own.
class Receiver {
 public:
  using Handler = std::function<void(Peer&)>;

  explicit Receiver(Handler handler, std::optional<Certificate> tls = std::nullopt,
                    const std::string& address = "127.0.0.1");
  ~Receiver();

  std::uint16_t port() const { return port_; }
  std::size_t connections() const { return connections_; }
  int max_tls_version = 0;  // such as TLS1_1_VERSION; to be set before anybody connects

 private:
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  const std::optional<Certificate> tls_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> connections_ = 0;
  std::mutex mutex_;
  std::vector<UniqueFd> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace lazaret::webhook
