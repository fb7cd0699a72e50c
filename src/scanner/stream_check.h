#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "scanner/layer_check.h"

namespace lazaret::scanner {

// What a compressed stream, which libclamav unpacked as one layer, holds beyond what it unpacked.
struct StreamCheck {
  std::optional<Incomplete> fault;
  std::uint64_t unpacked;  // bytes that it took to find out, at most `limit`
};

// libclamav 1.4 keeps silent about data that is damaged, cut off, or behind the first stream. Both unpack `content`
// once more, into nothing, with the library that libclamav uses, and stop after `limit` bytes with kLimitExceeded. What
// may follow are zero bytes, and for gzip (RFC 1952 2.2) further members right behind each other, which libclamav
// reads.
StreamCheck CheckGzip(std::string_view content, std::uint64_t limit);
StreamCheck CheckBzip2(std::string_view content, std::uint64_t limit);

}  // namespace lazaret::scanner
