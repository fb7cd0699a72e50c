#include "clamd/file_copy.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace lazaret::clamd {
namespace {

constexpr std::size_t kPieceBytes = 32 * 1024;
using Piece = std::array<std::byte, kPieceBytes>;

std::unexpected<Finding> Failed(std::string_view text) { return std::unexpected(Finding::Failed(text)); }

// How many bytes there were at `offset`; the whole piece, unless the file ends in it.
std::expected<std::size_t, Finding> Fill(int fd, Piece& piece, std::uint64_t offset) {
  std::size_t filled = 0;
  while (filled < piece.size()) {
    const ssize_t n = ::pread(fd, piece.data() + filled, piece.size() - filled, static_cast<off_t>(offset + filled));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("Can't read file");
    if (n == 0) break;
    filled += static_cast<std::size_t>(n);
  }
  return filled;
}

std::expected<std::uint64_t, Finding> SizeOf(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return Failed("Can't get file status");
  if (!S_ISREG(status.st_mode)) return Failed(wire::kClamdNotRegular);
  return static_cast<std::uint64_t>(status.st_size);
}

struct Beginning {
  std::uint64_t size;  // of the file, as it says
  std::size_t filled;  // of the piece
};
std::expected<Beginning, Finding> Begin(int fd, Piece& piece, std::uint64_t most) {
  const auto size = SizeOf(fd);
  if (!size) return std::unexpected(size.error());
  if (*size > most) return Beginning{*size, 0};
  const auto filled = Fill(fd, piece, 0);
  if (!filled) return std::unexpected(filled.error());
  return Beginning{*size, *filled};
}

}  // namespace

aio::Task<std::expected<ContentPtr, Finding>> CopyFile(KeptFd fd, Spool& spool, FileShare files, SteadyTime deadline) {
  const auto seat = co_await files.copies().Enter(deadline);
  if (!seat) co_return std::unexpected(Finding::Of(Error{Errc::kTimeout, "a file could not be read in time"}));
  // Reading may go on after we have left.
  const auto piece = std::make_shared_for_overwrite<Piece>();
  // Small files, most of them, take one visit to the other thread.
  const auto begun = co_await files.Run(
      deadline, [fd, piece, most = spool.settings().max_content] { return Begin(fd->Get(), *piece, most); });
  if (!begun) co_return std::unexpected(Finding::Of(begun.error()));
  if (!*begun) co_return std::unexpected((*begun).error());
  const auto [size, first] = **begun;
  std::size_t filled = first;
  if (const auto room = spool.CheckRoom(size); !room) co_return std::unexpected(Finding::Of(room.error()));
  SpoolWriter writer = spool.NewWriter(size);
  while (filled > 0) {
    const auto appended = co_await writer.Append(Bytes(*piece).first(filled), deadline);
    if (!appended) co_return std::unexpected(Finding::Of(appended.error()));
    if (filled < piece->size()) break;
    const auto more =
        co_await files.Run(deadline, [fd, piece, offset = writer.size()] { return Fill(fd->Get(), *piece, offset); });
    if (!more) co_return std::unexpected(Finding::Of(more.error()));
    if (!*more) co_return std::unexpected((*more).error());
    filled = **more;
  }
  auto content = writer.Finish();
  if (!content) co_return std::unexpected(Finding::Of(content.error()));
  co_return *std::move(content);
}

}  // namespace lazaret::clamd
