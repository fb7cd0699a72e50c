#include "scanner/stream_check.h"

#include <bzlib.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

namespace lazaret::scanner {
namespace {

using namespace std::string_view_literals;
using wire::OutcomeReason;

constexpr std::size_t kPiece = 64 * 1024;

Incomplete Unsupported(std::string what) { return {OutcomeReason::kUnsupported, std::move(what)}; }
Incomplete OverLimit() { return {OutcomeReason::kLimitExceeded, "Heuristics.Limits.Exceeded.MaxScanSize"}; }
Incomplete NoMemory() { return {OutcomeReason::kEngineError, "out of memory"}; }

bool IsPadding(std::string_view rest) { return rest.find_first_not_of('\0') == rest.npos; }

}  // namespace

StreamCheck CheckGzip(std::string_view content, std::uint64_t limit) {
  constexpr int kGzipOnly = 16;
  const auto scratch = std::make_unique_for_overwrite<Bytef[]>(kPiece);
  StreamCheck check{std::nullopt, 0};
  z_stream stream{};
  if (::inflateInit2(&stream, MAX_WBITS + kGzipOnly) != Z_OK) return {NoMemory(), 0};
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, &::inflateEnd);
  std::string_view rest = content;
  while (!check.fault) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));
    const auto offered = static_cast<uInt>(std::min<std::size_t>(rest.size(), 1u << 30));
    stream.avail_in = offered;
    stream.next_out = scratch.get();
    stream.avail_out = kPiece;
    const int result = ::inflate(&stream, Z_NO_FLUSH);
    rest.remove_prefix(offered - stream.avail_in);
    check.unpacked += kPiece - stream.avail_out;
    if (check.unpacked > limit) {
      check = {OverLimit(), limit};
    } else if (result == Z_STREAM_END) {
      if (!rest.starts_with("\x1F\x8B"sv)) break;
      ::inflateReset(&stream);
    } else if (result == Z_MEM_ERROR) {
      check.fault = NoMemory();
    } else if (result != Z_OK) {
      check.fault = Unsupported("GZIP data that is damaged or cut off");
    }
  }
  if (!check.fault && !IsPadding(rest)) check.fault = Unsupported("data behind the end of the GZIP data");
  return check;
}

StreamCheck CheckBzip2(std::string_view content, std::uint64_t limit) {
  const auto scratch = std::make_unique_for_overwrite<char[]>(kPiece);
  StreamCheck check{std::nullopt, 0};
  bz_stream stream{};
  if (::BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) return {NoMemory(), 0};
  const std::unique_ptr<bz_stream, int (*)(bz_stream*)> end(&stream, &::BZ2_bzDecompressEnd);
  std::string_view rest = content;
  for (;;) {
    stream.next_in = const_cast<char*>(rest.data());
    const auto offered = static_cast<unsigned>(std::min<std::size_t>(rest.size(), 1u << 30));
    stream.avail_in = offered;
    stream.next_out = scratch.get();
    stream.avail_out = kPiece;
    const int result = ::BZ2_bzDecompress(&stream);
    const bool moved = stream.avail_in < offered || stream.avail_out < kPiece;
    rest.remove_prefix(offered - stream.avail_in);
    check.unpacked += kPiece - stream.avail_out;
    if (check.unpacked > limit) return {OverLimit(), limit};
    if (result == BZ_STREAM_END) break;
    if (result == BZ_MEM_ERROR) return {NoMemory(), check.unpacked};
    if (result != BZ_OK || !moved) return {Unsupported("BZIP2 data that is damaged or cut off"), check.unpacked};
  }
  if (rest.starts_with("BZh"sv)) {
    check.fault = Unsupported("more than one BZIP2 stream");
  } else if (!IsPadding(rest)) {
    check.fault = Unsupported("data behind the end of the BZIP2 data");
  }
  return check;
}

}  // namespace lazaret::scanner
