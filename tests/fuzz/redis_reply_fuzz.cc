// Replies are the same however the bytes come, and bounded.
#include <iterator>
#include <vector>

#include "fuzz_support.h"
#include "redis/error_reply.h"
#include "redis/reply_parser.h"
#include "redis/topology.h"

using namespace lazaret;
using namespace lazaret::fuzz;

namespace {

constexpr std::size_t kLimit = 4096;

std::size_t SizeOf(const redis::Reply& reply) {
  std::size_t size = reply.text().size();
  for (const redis::Reply& element : reply.elements()) size += sizeof element + SizeOf(element);
  return size;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = Text(data, size);
  redis::ReplyParser whole(kLimit);
  const auto replies = whole.Feed(AsBytes(text));

  redis::ReplyParser cut(kLimit);
  Cutter cutter(size == 0 ? 0 : data[0]);
  std::vector<redis::Reply> pieces;
  bool failed = false;
  for (std::string_view rest = text; !rest.empty() && !failed;) {
    auto some = cut.Feed(AsBytes(cutter.Take(rest)));
    failed = !some;
    if (some) std::move(some->begin(), some->end(), std::back_inserter(pieces));
  }
  Require(failed == !replies, "pieces fail when the whole does");
  if (!replies) {
    const Errc code = replies.error().code;
    Require(code == Errc::kMalformed || code == Errc::kTooLarge, "failures have a cause");
    return 0;
  }
  Require(*replies == pieces, "pieces make the same replies");
  for (const redis::Reply& reply : *replies) {
    Require(SizeOf(reply) <= kLimit, "replies are bounded");
    if (reply.IsError()) Require(!redis::ErrorOf(reply).what.empty(), "errors say something");
    redis::ParseRedirection(reply);
    redis::ParseClusterSlots(reply, {.host = "h", .port = 1, .path = {}});
  }
  return 0;
}
