#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "redis/reply.h"

struct redisReader;
struct redisReadTask;

namespace lazaret::redis {

// Turns the bytes of a connection into replies (RESP2, read by hiredis). Unusable after a failure.
class ReplyParser {
 public:
  // `max_reply_bytes` bounds one reply: its bytes on the wire and sizeof(Reply) for each element of an array.
  explicit ReplyParser(std::size_t max_reply_bytes);
  ~ReplyParser();
  ReplyParser(const ReplyParser&) = delete;
  ReplyParser& operator=(const ReplyParser&) = delete;

  // The replies that these bytes complete, in order. kMalformed when this is not RESP2 or nested deeper than hiredis
  // reads (7), kTooLarge when a reply is over the limit.
  Result<std::vector<Reply>> Feed(Bytes bytes);

 private:
  struct Callbacks;
  struct FreeReader {
    void operator()(redisReader* reader) const;
  };
  Result<void> FeedSlice(Bytes bytes, std::vector<Reply>& complete);
  Result<void> CheckSize() const;
  Reply* Add(const redisReadTask* task, Reply reply);

  const std::size_t max_reply_bytes_;
  std::unique_ptr<Reply> root_;  // the reply that is being read
  std::size_t consumed_ = 0;     // bytes of it that hiredis has parsed
  std::size_t elements_ = 0;     // in its arrays
  std::unique_ptr<redisReader, FreeReader> reader_;
};

}  // namespace lazaret::redis
