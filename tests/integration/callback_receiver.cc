#include "integration/callback_receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "integration/processes.h"
#include "wire/http_text.h"

namespace lazaret::tests {
namespace {

using Octets = std::vector<unsigned char>;

Octets FromBase64(std::string_view text) {
  Octets octets(text.size() / 4 * 3 + 3);
  const int size = ::EVP_DecodeBlock(octets.data(), reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  const auto padding = static_cast<std::size_t>(std::ranges::count(text, '='));
  octets.resize(size < 0 ? 0 : static_cast<std::size_t>(size) - padding);
  return octets;
}

std::string ToBase64(const Octets& octets) {
  std::string text((octets.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), octets.data(), static_cast<int>(octets.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

// Empty when the connection ends, or is silent for long, before the request is there.
std::optional<Call> ReadCall(int fd) {
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string received;
  std::size_t head_end = received.npos;
  std::size_t body_size = 0;
  Call call;
  for (;;) {
    if (head_end == received.npos && (head_end = received.find("\r\n\r\n")) != received.npos) {
      std::size_t line = received.find("\r\n");
      const std::size_t target = received.find(' ') + 1;
      call.target = received.substr(target, received.find(' ', target) - target);
      while (line < head_end) {
        const std::size_t begin = line + 2;
        line = received.find("\r\n", begin);
        const std::size_t colon = received.find(':', begin);
        if (colon >= line) return std::nullopt;
        call.headers.emplace_back(received.substr(begin, colon - begin), received.substr(colon + 2, line - colon - 2));
      }
      const std::string length = call.Field("Content-Length");
      std::from_chars(length.data(), length.data() + length.size(), body_size);
    }
    if (head_end != received.npos && received.size() >= head_end + 4 + body_size) {
      call.body = received.substr(head_end + 4, body_size);
      return call;
    }
    std::array<char, 4096> buffer;
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) return std::nullopt;
    received.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace

std::string Call::Field(std::string_view name) const {
  for (const auto& [field, value] : headers) {
    if (wire::EqualsIgnoreCase(field, name)) return value;
  }
  return "";
}

bool Call::IsSignedWith(std::string_view secret) const {
  const Octets key = FromBase64(secret.substr(secret.find('_') + 1));
  const std::string text = Field("webhook-id") + "." + Field("webhook-timestamp") + "." + body;
  Octets mac(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  ::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
         text.size(), mac.data(), &size);
  mac.resize(size);
  const std::string all = " " + Field("webhook-signature") + " ";
  return all.find(" v1," + ToBase64(mac) + " ") != all.npos;
}

CallbackReceiver::CallbackReceiver() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_.Get(), generic, size) != 0 || ::listen(listener_.Get(), 100) != 0 ||
      ::getsockname(listener_.Get(), generic, &size) != 0) {
    throw std::runtime_error("no port to listen on");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::jthread([this] { Serve(); });
}

CallbackReceiver::~CallbackReceiver() {
  ::shutdown(listener_.Get(), SHUT_RDWR);  // ends accept(2)
}

std::string CallbackReceiver::Url(std::string_view host, std::string_view path) const {
  return fmt::format("http://{}:{}{}", host, port_, path);
}

void CallbackReceiver::AnswerWith(int status, std::string fields, std::string body) {
  std::lock_guard lock(mutex_);
  status_ = status;
  fields_ = std::move(fields);
  body_ = std::move(body);
}

std::vector<Call> CallbackReceiver::Calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

std::vector<Call> CallbackReceiver::WaitForCalls(std::size_t count) const {
  std::unique_lock lock(mutex_);
  grown_.wait_for(lock, kPatience, [&] { return calls_.size() >= count; });
  return calls_;
}

void CallbackReceiver::Serve() {
  for (;;) {
    UniqueFd connection(::accept4(listener_.Get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) return;
    TakeCall(std::move(connection));
  }
}

void CallbackReceiver::TakeCall(UniqueFd connection) {
  auto call = ReadCall(connection.Get());
  if (!call) return;
  std::lock_guard lock(mutex_);
  calls_.push_back(*std::move(call));
  grown_.notify_all();
  if (status_ == 0) {
    unanswered_.push_back(std::move(connection));
    return;
  }
  const std::string answer = fmt::format("HTTP/1.1 {} Status\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}",
                                         status_, body_.size(), fields_, body_);
  (void)::send(connection.Get(), answer.data(), answer.size(), MSG_NOSIGNAL);
}

}  // namespace lazaret::tests
