#include "main/control_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "base/unix_socket.h"
#include "main/control_server.h"

namespace lazaret {
namespace {

constexpr std::size_t kMostBytes = 256 * 1024 * 1024;

std::unexpected<Error> NoAnswer(std::string_view why) {
  return Fail(Errc::kMalformed, fmt::format("the server's answer cannot be used: {}", why));
}

// Everything up to the end of the stream.
Result<std::string> ReceiveAll(const UniqueFd& socket, seconds patience) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + patience;
  std::string received;
  std::array<char, 65536> buffer;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd polled{.fd = socket.Get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(std::max<milliseconds::rep>(left.count(), 0)));
    if (ready == 0) {
      return Fail(Errc::kTimeout, fmt::format("the server has not answered for {} seconds", patience.count()));
    }
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t n = ::recv(socket.Get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return NoAnswer(std::generic_category().message(errno));
    if (n == 0) return received;
    received.append(buffer.data(), static_cast<std::size_t>(n));
    if (received.size() > kMostBytes) return NoAnswer(fmt::format("it has more than {} bytes", kMostBytes));
  }
}

std::optional<std::size_t> ReadNumber(std::string_view text) {
  std::size_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// One response as our own server writes it (http/response.cc), whole.
Result<ControlAnswer> Parse(std::string_view received) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  const std::size_t head_end = received.find("\r\n\r\n");
  if (head_end == received.npos || !received.starts_with(kVersion)) return NoAnswer("it is no HTTP response");
  const std::string_view head = received.substr(0, head_end + 2);
  const auto status = ReadNumber(head.substr(kVersion.size(), 3));
  const std::size_t field = head.find(kLength);
  if (!status || field == head.npos) return NoAnswer("it is no HTTP response");
  const std::size_t value = field + kLength.size();
  const auto length = ReadNumber(head.substr(value, head.find("\r\n", value) - value));
  const std::string_view body = received.substr(head_end + 4);
  if (length != body.size()) return NoAnswer("it was cut off");
  return ControlAnswer{static_cast<int>(*status), std::string(body)};
}

}  // namespace

ControlClient::ControlClient(const std::filesystem::path& data) {
  std::error_code failed;
  data_ = std::filesystem::absolute(data, failed);
  if (failed) data_ = data;
}

Result<ControlAnswer> ControlClient::Ask(std::string_view method, std::string_view target, seconds patience) const {
  const auto path = ControlSocketIn(data_);
  const auto socket = ConnectToUnixSocket(path);
  if (!socket && socket.error().code == Errc::kNotFound) {
    return Fail(Errc::kUnavailable,
                fmt::format("no server is running for the data directory {0} (nobody listens on {1}); start one with: "
                            "lazaret serve --data {0}, or name the directory of the one that runs with --data",
                            data_.native(), path.native()));
  }
  if (!socket && socket.error().code == Errc::kUnavailable) {
    return Fail(Errc::kUnavailable, socket.error().what + "; run this as the user that the server runs as, or as root");
  }
  if (!socket) return std::unexpected(socket.error());
  const std::string request =
      fmt::format("{} {} HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n", method, target);
  // Smaller than any socket buffer: it goes at once.
  if (::send(socket->Get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return NoAnswer("the server took no request");
  }
  const auto received = ReceiveAll(*socket, patience);
  if (!received) return std::unexpected(received.error());
  return Parse(*received);
}

}  // namespace lazaret
