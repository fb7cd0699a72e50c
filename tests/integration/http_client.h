#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

// A blocking HTTP/1.1 client that sends whatever bytes a test wants, proper or not.
namespace lazaret::tests {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
  int status = 0;
  Headers headers;  // names as sent
  std::string body;

  // The value of the first field of that name, whatever its case; empty when there is none.
  std::optional<std::string> Find(std::string_view name) const;
};

// Takes one response off the front of `received`; empty when it is not complete yet, kMalformed when it is no HTTP/1.1
// response with a Content-Length. An interim response (1xx) and one to a HEAD request have no body.
Result<std::optional<HttpResponse>> TakeResponse(std::string& received, bool to_head = false);

// A descriptor of a connection to 127.0.0.1; empty when nobody listens there.
UniqueFd Connect(std::uint16_t port);

// One connection to 127.0.0.1, or to a Unix socket. Every wait ends with kTimeout after a minute.
class HttpConnection {
 public:
  explicit HttpConnection(std::uint16_t port);
  explicit HttpConnection(const std::filesystem::path& socket);

  // kDisconnected when the server does not take the bytes any more.
  Result<void> Send(std::string_view bytes);
  // Exactly one response, interim ones (1xx) included; what follows it stays for the next call. kDisconnected when the
  // connection ends before or in it, kMalformed when it is no HTTP/1.1 response with a Content-Length.
  Result<HttpResponse> Receive(bool to_head = false);
  // Whether the server closes the connection, in order or by a reset, without sending anything more.
  bool IsClosedByServer();
  // Whether a byte arrives, or the connection ends, within `time`.
  bool HasInput(milliseconds time);

  void CloseSending();
  // Ends the connection at once, as when the client's machine is gone.
  void Reset();
  bool is_open() const { return static_cast<bool>(socket_); }
  int fd() const { return socket_.Get(); }

 private:
  Result<void> ReceiveMore();

  UniqueFd socket_;
  std::string received_;
};

// A request with Host, the given fields and, for a body, Content-Length.
std::string MakeRequest(std::string_view method, std::string_view target, const Headers& headers = {},
                        std::optional<std::string_view> body = std::nullopt);

// One request on a connection of its own.
Result<HttpResponse> Get(std::uint16_t port, std::string_view target);
Result<HttpResponse> Post(std::uint16_t port, std::string_view target, std::string_view body,
                          const Headers& headers = {});

// The same over a Unix socket, with any method.
Result<HttpResponse> Ask(const std::filesystem::path& socket, std::string_view method, std::string_view target,
                         std::optional<std::string_view> body = std::nullopt);

// `body` in the chunked coding (RFC 9112 7.1), in chunks of `size` bytes.
std::string Chunked(std::string_view body, std::size_t size);

// One part of a multipart/form-data body: a file when `filename` is there.
struct Part {
  std::string field;
  std::optional<std::string> filename;
  std::string data;
};
inline constexpr std::string_view kBoundary = "test-boundary-7d83";
std::string MakeMultipart(const std::vector<Part>& parts);
// Content-Type of such a body.
Headers MultipartHeaders();

}  // namespace lazaret::tests
