#include "clamav/clamd_client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "base/unique_fd.h"

namespace lazaret::clamav {
using namespace std::string_view_literals;

namespace {

constexpr std::size_t kChunk = 256 * 1024;
constexpr std::size_t kLengthBytes = 4;
constexpr std::string_view kPing = "zPING\0"sv;
constexpr std::string_view kVersion = "zVERSION\0"sv;
constexpr std::string_view kFildes = "zFILDES\0"sv;
constexpr std::string_view kInstream = "zINSTREAM\0"sv;
constexpr std::string_view kEndOfStream = "\0\0\0\0"sv;

SteadyTime In(milliseconds time) { return std::chrono::steady_clock::now() + time; }

// `content` with an offset of its own: clamd moves it, and a scan that was given up may still be reading.
Result<UniqueFd> Reopen(int content, std::uint64_t size) {
  UniqueFd fd(::open(fmt::format("/proc/self/fd/{}", content).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!fd || ::fstat(fd.Get(), &status) != 0) {
    return std::unexpected(SystemError("opening a content for clamd", errno));
  }
  // Over a Unix socket nothing else would show it: clamd would judge what is left.
  if (static_cast<std::uint64_t>(status.st_size) != size) {
    return Fail(Errc::kInternal, fmt::format("a content has {} bytes instead of {}", status.st_size, size));
  }
  return fd;
}

// A chunk of INSTREAM: its length, most significant byte first, and as many bytes of `content`.
Result<std::vector<std::byte>> ReadChunk(int content, std::uint64_t offset, std::size_t length) {
  std::vector<std::byte> chunk(kLengthBytes + length);
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    chunk[i] = static_cast<std::byte>(length >> (8 * (kLengthBytes - 1 - i)) & 0xFF);
  }
  for (std::size_t done = 0; done < length;) {
    const ssize_t count =
        ::pread(content, chunk.data() + kLengthBytes + done, length - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(SystemError("reading a content for clamd", errno));
    if (count == 0) return Fail(Errc::kInternal, "a content is shorter than its size");
    done += static_cast<std::size_t>(count);
  }
  return chunk;
}

// Of what happened before the content was sent.
std::unexpected<Error> Unseen(Error error) {
  if (!IsOurFault(error)) error.code = Errc::kUnavailable;
  return std::unexpected(std::move(error));
}

Result<wire::ClamdScanReply> Understand(wire::ClamdScanCommand command, const ClamdAnswer& answer, bool was_early) {
  auto reply = wire::ParseClamdScanReply(command, answer.bytes);
  if (!reply) return reply;
  // Both are clamd's way to refuse the rest of an upload, which it then leaves unread.
  if (reply->finding == wire::ClamdFinding::kError || reply->finding == wire::ClamdFinding::kLimitExceeded)
    return reply;
  if (was_early) return Fail(Errc::kMalformed, "clamd answered before it had the whole content");
  if (answer.was_reset) return Fail(Errc::kDisconnected, "clamd reset the connection behind its reply");
  return reply;
}

}  // namespace

ClamdClient::ClamdClient(ClamdEndpoint endpoint, ClamdTimeouts timeouts, aio::BlockingPool& disk)
    : endpoint_(std::move(endpoint)), timeouts_(timeouts), disk_(&disk) {
  SendDescriptors(true);
}

void ClamdClient::SendDescriptors(bool wanted) {
  sends_descriptors_ = wanted && endpoint_.protocol().family() == AF_UNIX;
}

aio::Task<Result<ClamdConnection>> ClamdClient::Connect() const {
  return ClamdConnection::Open(endpoint_, In(timeouts_.connect));
}

aio::Task<Result<std::string>> ClamdClient::Ask(std::string_view command) const {
  auto connection = co_await Connect();
  if (!connection) co_return std::unexpected(connection.error());
  if (auto sent = co_await connection->Send(AsBytes(command)); !sent) co_return std::unexpected(sent.error());
  auto answer = co_await aio::WithDeadline(connection->ReadToEnd(), In(timeouts_.answer),
                                           fmt::format("no answer in {} ms", timeouts_.answer.count()));
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->was_reset) co_return Fail(Errc::kDisconnected, "the connection was reset");
  co_return answer->bytes;
}

aio::Task<Result<wire::ClamdVersion>> ClamdClient::Check() const {
  const auto pong = co_await Ask(kPing);
  if (!pong) co_return std::unexpected(pong.error());
  if (auto parsed = wire::ParseClamdPong(*pong); !parsed) co_return std::unexpected(parsed.error());
  co_return co_await Version();
}

aio::Task<Result<wire::ClamdVersion>> ClamdClient::Version() const {
  const auto version = co_await Ask(kVersion);
  if (!version) co_return std::unexpected(version.error());
  co_return wire::ParseClamdVersion(*version);
}

aio::Task<Result<wire::ClamdScanReply>> ClamdClient::Scan(ClamdConnection connection, int content,
                                                          std::uint64_t size) const {
  auto own = Reopen(content, size);
  if (!own) co_return std::unexpected(own.error());
  auto reply = sends_descriptors_ ? ScanDescriptor(std::move(connection), own->Get())
                                  : ScanStream(std::move(connection), own->Get(), size);
  co_return co_await std::move(reply);
}

aio::Task<Result<wire::ClamdScanReply>> ClamdClient::ScanDescriptor(ClamdConnection connection, int content) const {
  if (auto sent = co_await connection.Send(AsBytes(kFildes)); !sent) co_return Unseen(sent.error());
  const bool was_early = connection.HasInput();
  if (!was_early) {
    if (auto sent = connection.SendDescriptor(content); !sent) co_return Unseen(sent.error());
  }
  if (auto waited = co_await connection.WaitForInput(); !waited) co_return std::unexpected(waited.error());
  auto answer = co_await aio::WithDeadline(connection.ReadToEnd(), In(timeouts_.answer), "the reply has no end");
  if (!answer) co_return std::unexpected(answer.error());
  co_return Understand(wire::ClamdScanCommand::kFildes, *answer, was_early);
}

aio::Task<Result<wire::ClamdScanReply>> ClamdClient::ScanStream(ClamdConnection connection, int content,
                                                                std::uint64_t size) const {
  if (auto sent = co_await connection.Send(AsBytes(kInstream)); !sent) co_return Unseen(sent.error());
  bool all_sent = true;
  const auto send = [&](Bytes bytes) {
    return aio::WithDeadline(connection.SendUnlessAnswered(bytes), In(timeouts_.answer), "the upload does not go on");
  };
  for (std::uint64_t offset = 0; offset < size && all_sent; offset += kChunk) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, size - offset));
    const auto chunk = co_await disk_->Run([&] { return ReadChunk(content, offset, length); });
    if (!chunk) co_return std::unexpected(chunk.error());
    const auto sent = co_await send(*chunk);
    if (!sent) co_return std::unexpected(sent.error());
    all_sent = *sent;
  }
  if (all_sent) {
    all_sent = !connection.HasInput();
    if (all_sent && !co_await connection.Send(AsBytes(kEndOfStream))) all_sent = false;
  }
  if (auto waited = co_await connection.WaitForInput(); !waited) co_return std::unexpected(waited.error());
  auto answer = co_await aio::WithDeadline(connection.ReadToEnd(), In(timeouts_.answer), "the reply has no end");
  if (!answer) co_return std::unexpected(answer.error());
  co_return Understand(wire::ClamdScanCommand::kInstream, *answer, !all_sent);
}

}  // namespace lazaret::clamav
