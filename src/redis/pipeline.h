#pragma once

#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "redis/command.h"
#include "redis/counters.h"
#include "redis/reply_parser.h"

namespace lazaret::redis {

struct PipelineLimits {
  std::size_t max_commands = 65'536;                    // that wait for their replies
  std::size_t max_bytes = std::size_t{256} << 20;       // of those; one that is larger is taken when nothing else waits
  std::size_t max_reply_bytes = std::size_t{64} << 20;  // of one reply, as ReplyParser counts
};

// What a connection sends and whose turn it is when replies come; owns no socket. Replies come in the order of the
// commands: whoever stops waiting leaves its place, and its replies are dropped when they come. One executor.
class Pipeline {
 public:
  // Commands that were pushed together, and their replies.
  struct Call {
    std::size_t commands;
    std::size_t bytes;
    SteadyTime deadline;
    std::vector<Reply> replies = {};
    std::optional<Error> failure = {};
    bool sent = false;                           // its bytes have been taken to be written, perhaps not all
    boost::asio::steady_timer* waker = nullptr;  // cancelled when the call is done; null when nobody waits

    bool is_done() const { return failure || replies.size() == commands; }
  };
  using Chunk = std::variant<std::string, Command>;

  Pipeline(PipelineLimits limits, Counters& counters);

  // Adds commands that belong together, in order, with nothing between them. kOverloaded when there are too many that
  // wait for replies. There must be at least one.
  Result<std::shared_ptr<Call>> Push(std::span<const Command> commands, SteadyTime deadline);
  bool HasOutput() const { return !output_.empty(); }
  // What is to be written next; to be kept until it has been.
  std::vector<Chunk> TakeOutput();

  // Bytes that came. kMalformed or kTooLarge as ReplyParser, or when a reply comes that nobody asked for: Break then.
  Result<void> Feed(Bytes bytes);

  // Ends all calls: kUnavailable for what was never sent and so was not executed, for the rest the code of `why`, or
  // kDisconnected in place of kUnavailable.
  void Break(const Error& why);

  // Of the call whose replies come next; empty when nothing is awaited.
  std::optional<SteadyTime> OldestDeadline() const;
  std::size_t commands() const { return commands_; }

  static std::string_view BytesOf(const Chunk& chunk);

 private:
  void Append(const Command& command);
  static void Wake(Call& call);

  const PipelineLimits limits_;
  Counters& counters_;
  ReplyParser parser_;
  std::vector<Chunk> output_;
  std::deque<std::shared_ptr<Call>> calls_;
  std::size_t unsent_ = 0;    // at the end of calls_
  std::size_t commands_ = 0;  // of calls_
  std::size_t bytes_ = 0;
};

}  // namespace lazaret::redis
