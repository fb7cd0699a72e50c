#include "integration/http_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "base/unix_socket.h"
#include "integration/processes.h"

namespace lazaret::tests {
namespace {

bool WaitFor(int fd, short events, milliseconds time) {
  pollfd polled{fd, events, 0};
  return ::poll(&polled, 1, static_cast<int>(time.count())) == 1;
}

Result<HttpResponse> ParseHead(std::string_view head) {
  HttpResponse response;
  if (!head.starts_with("HTTP/1.1 ") || head.size() < 12) return Fail(Errc::kMalformed, std::string(head));
  std::from_chars(head.data() + 9, head.data() + 12, response.status);
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(line.size() + 2, head.size()));
    const std::size_t colon = line.find(": ");
    if (colon == line.npos) return Fail(Errc::kMalformed, "not a header line: " + std::string(line));
    response.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  return response;
}

Result<HttpResponse> AskOn(HttpConnection connection, const std::string& request) {
  // A server that refuses early may not take all of it; the answer says why.
  (void)connection.Send(request);
  return connection.Receive();
}

}  // namespace

std::optional<std::string> HttpResponse::Find(std::string_view name) const {
  for (const auto& [field, value] : headers) {
    if (field.size() == name.size() && ::strncasecmp(field.data(), name.data(), name.size()) == 0) return value;
  }
  return std::nullopt;
}

Result<std::optional<HttpResponse>> TakeResponse(std::string& received, bool to_head) {
  const std::size_t head_end = received.find("\r\n\r\n");
  if (head_end == received.npos) return std::nullopt;
  auto response = ParseHead(std::string_view(received).substr(0, head_end + 2));
  if (!response) return std::unexpected(response.error());
  std::size_t length = 0;
  if (!to_head && response->status >= 200) {
    const auto field = response->Find("Content-Length");
    if (!field || std::from_chars(field->data(), field->data() + field->size(), length).ec != std::errc()) {
      return Fail(Errc::kMalformed, "a response without Content-Length");
    }
  }
  const std::size_t body_start = head_end + 4;
  if (received.size() < body_start + length) return std::nullopt;
  response->body = received.substr(body_start, length);
  received.erase(0, body_start + length);
  return *std::move(response);
}

UniqueFd Connect(std::uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(socket.Get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) socket.Reset();
  return socket;
}

HttpConnection::HttpConnection(std::uint16_t port) : socket_(Connect(port)) {}

HttpConnection::HttpConnection(const std::filesystem::path& socket)
    : socket_(ConnectToUnixSocket(socket).value_or(UniqueFd())) {}

Result<void> HttpConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!socket_) return Fail(Errc::kDisconnected, "not connected");
    if (!WaitFor(socket_.Get(), POLLOUT, kPatience)) return Fail(Errc::kTimeout, "the server takes no more bytes");
    const ssize_t n = ::send(socket_.Get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return std::unexpected(Error{Errc::kDisconnected, SystemError("send", errno).what});
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> HttpConnection::ReceiveMore() {
  if (!socket_) return Fail(Errc::kDisconnected, "not connected");
  if (!WaitFor(socket_.Get(), POLLIN, kPatience)) return Fail(Errc::kTimeout, "the server sends nothing");
  std::array<char, 65536> buffer;
  const ssize_t n = ::recv(socket_.Get(), buffer.data(), buffer.size(), 0);
  if (n < 0) return std::unexpected(Error{Errc::kDisconnected, SystemError("recv", errno).what});
  if (n == 0) return Fail(Errc::kDisconnected, "the server closed the connection");
  received_.append(buffer.data(), static_cast<std::size_t>(n));
  return {};
}

Result<HttpResponse> HttpConnection::Receive(bool to_head) {
  for (;;) {
    auto response = TakeResponse(received_, to_head);
    if (!response) return std::unexpected(response.error());
    if (*response) return **std::move(response);
    if (auto more = ReceiveMore(); !more) return std::unexpected(more.error());
  }
}

bool HttpConnection::IsClosedByServer() {
  if (!received_.empty()) return false;
  const auto more = ReceiveMore();
  return !more && more.error().code == Errc::kDisconnected;
}

bool HttpConnection::HasInput(milliseconds time) { return !received_.empty() || WaitFor(socket_.Get(), POLLIN, time); }

void HttpConnection::CloseSending() { ::shutdown(socket_.Get(), SHUT_WR); }

void HttpConnection::Reset() {
  const linger at_once{1, 0};
  ::setsockopt(socket_.Get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket_.Reset();
}

std::string MakeRequest(std::string_view method, std::string_view target, const Headers& headers,
                        std::optional<std::string_view> body) {
  std::string request = fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n", method, target);
  for (const auto& [name, value] : headers) request += fmt::format("{}: {}\r\n", name, value);
  if (body) request += fmt::format("Content-Length: {}\r\n", body->size());
  request += "\r\n";
  if (body) request += *body;
  return request;
}

Result<HttpResponse> Get(std::uint16_t port, std::string_view target) {
  return AskOn(HttpConnection(port), MakeRequest("GET", target));
}

Result<HttpResponse> Post(std::uint16_t port, std::string_view target, std::string_view body, const Headers& headers) {
  return AskOn(HttpConnection(port), MakeRequest("POST", target, headers, body));
}

Result<HttpResponse> Ask(const std::filesystem::path& socket, std::string_view method, std::string_view target,
                         std::optional<std::string_view> body) {
  return AskOn(HttpConnection(socket), MakeRequest(method, target, {}, body));
}

std::string Chunked(std::string_view body, std::size_t size) {
  std::string out;
  while (!body.empty()) {
    const std::string_view chunk = body.substr(0, size);
    body.remove_prefix(chunk.size());
    out += fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk);
  }
  return out + "0\r\n\r\n";
}

std::string MakeMultipart(const std::vector<Part>& parts) {
  std::string body;
  for (const Part& part : parts) {
    body += fmt::format("--{}\r\nContent-Disposition: form-data; name=\"{}\"", kBoundary, part.field);
    if (part.filename) {
      body += fmt::format("; filename=\"{}\"\r\nContent-Type: application/octet-stream", *part.filename);
    }
    body += "\r\n\r\n" + part.data + "\r\n";
  }
  return body + fmt::format("--{}--\r\n", kBoundary);
}

Headers MultipartHeaders() { return {{"Content-Type", fmt::format("multipart/form-data; boundary={}", kBoundary)}}; }

}  // namespace lazaret::tests
