#include "scanner/stream_check.h"

#include <bzlib.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

namespace lazaret::scanner {
namespace {

using wire::OutcomeReason;

std::string Text(std::size_t size) {
  std::string text;
  for (unsigned i = 1; text.size() < size; i = i * 1664525u + 1013904223u) text += std::to_string(i);
  text.resize(size);
  return text;
}

std::string Gzip(std::string text) {
  std::string out(text.size() + 100, '\0');
  z_stream stream{};
  ::deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 9, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

std::string Bzip2(std::string text) {
  std::string out(text.size() + 1000, '\0');
  auto size = static_cast<unsigned>(out.size());
  ::BZ2_bzBuffToBuffCompress(out.data(), &size, text.data(), static_cast<unsigned>(text.size()), 9, 0, 0);
  out.resize(size);
  return out;
}

template <class Check>
std::optional<OutcomeReason> Fault(Check check, std::string_view content, std::uint64_t limit = 1'000'000) {
  const StreamCheck done = check(content, limit);
  return done.fault ? std::optional(done.fault->reason) : std::nullopt;
}

TEST(StreamCheck, AcceptsWholeStreams) {
  const std::string text = Text(300'000), padding(512, '\0');
  EXPECT_EQ(Fault(CheckGzip, Gzip(text)), std::nullopt);
  EXPECT_EQ(Fault(CheckGzip, Gzip(text) + Gzip("more") + padding), std::nullopt);
  EXPECT_EQ(Fault(CheckBzip2, Bzip2(text)), std::nullopt);
  EXPECT_EQ(Fault(CheckBzip2, Bzip2(text) + padding), std::nullopt);
}

TEST(StreamCheck, SeesWhatIsCutOff) {
  const std::string gzip = Gzip(Text(2'000)), bzip2 = Bzip2(Text(2'000));
  for (std::size_t size = 0; size < gzip.size(); ++size) {
    ASSERT_EQ(Fault(CheckGzip, gzip.substr(0, size)), OutcomeReason::kUnsupported) << size;
  }
  for (std::size_t size = 0; size < bzip2.size(); ++size) {
    ASSERT_EQ(Fault(CheckBzip2, bzip2.substr(0, size)), OutcomeReason::kUnsupported) << size;
  }
}

TEST(StreamCheck, SeesDamage) {
  std::string gzip = Gzip(Text(20'000)), bzip2 = Bzip2(Text(20'000));
  gzip[gzip.size() / 2] ^= 0x55;
  bzip2[bzip2.size() / 2] ^= 0x55;
  EXPECT_EQ(Fault(CheckGzip, gzip), OutcomeReason::kUnsupported);
  EXPECT_EQ(Fault(CheckBzip2, bzip2), OutcomeReason::kUnsupported);
}

TEST(StreamCheck, SeesDataBehindTheEnd) {
  const std::string padding(512, '\0');
  EXPECT_EQ(Fault(CheckGzip, Gzip("text") + padding + Gzip("more")), OutcomeReason::kUnsupported);
  EXPECT_EQ(Fault(CheckGzip, Gzip("text") + "x"), OutcomeReason::kUnsupported);
  EXPECT_EQ(Fault(CheckBzip2, Bzip2("text") + Bzip2("more")), OutcomeReason::kUnsupported);
  EXPECT_EQ(Fault(CheckBzip2, Bzip2("text") + "x"), OutcomeReason::kUnsupported);
}

TEST(StreamCheck, StopsAtItsLimit) {
  const std::string text = Text(100'000);
  EXPECT_EQ(Fault(CheckGzip, Gzip(text), 100'000), std::nullopt);
  EXPECT_EQ(Fault(CheckGzip, Gzip(text), 99'999), OutcomeReason::kLimitExceeded);
  EXPECT_EQ(Fault(CheckBzip2, Bzip2(text), 100'000), std::nullopt);
  EXPECT_EQ(Fault(CheckBzip2, Bzip2(text), 99'999), OutcomeReason::kLimitExceeded);
}

}  // namespace
}  // namespace lazaret::scanner
