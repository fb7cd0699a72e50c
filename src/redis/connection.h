#pragma once

#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "aio/broadcast.h"
#include "aio/task.h"
#include "aio/task_group.h"
#include "redis/pipeline.h"
#include "redis/stream.h"

namespace lazaret::redis {

struct ConnectionLimits {
  PipelineLimits pipeline;
  // A connection that has not answered its oldest command for this long after that command's deadline is given up.
  milliseconds overdue{2000};
};

// One connection to one server: many tasks call at once, what they send goes out in as few writes as possible, replies
// are matched in order. One executor, that of its task group. Shared by its tasks and its users; its users close it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Starts to read and write in `tasks`, whose executor is the stream's. Closed at once when `tasks` is.
  static std::shared_ptr<Connection> Start(std::unique_ptr<ByteStream> stream, aio::TaskGroup& tasks,
                                           ConnectionLimits limits, Counters& counters);

  // The replies, error replies included, in the order of the commands, which reach the server one behind the other.
  // `commands` must live until it ends. kUnavailable: nothing was executed. kOverloaded: too much waits already,
  // nothing was executed. kTimeout at `deadline`, kDisconnected, kMalformed, kTooLarge, kCancelled: nobody knows what
  // was executed.
  aio::Task<Result<std::vector<Reply>>> CallAll(std::span<const Command> commands, SteadyTime deadline);
  aio::Task<Result<Reply>> Call(Command command, SteadyTime deadline);

  // Ends all calls: kUnavailable those that were never sent, kDisconnected or the code of `why` the rest. Nothing
  // happens when it is closed already.
  void Close(Error why);
  // Takes no more commands, and closes when those that wait have been answered.
  void Drain(Error why);
  bool is_open() const { return !closed_.IsSet(); }
  // Set to the reason when it is closed.
  aio::Broadcast<Error>& closed() { return closed_; }

 private:
  Connection(std::unique_ptr<ByteStream> stream, const aio::Executor& executor, ConnectionLimits limits,
             Counters& counters);
  static aio::Task<> Read(std::shared_ptr<Connection> self);
  static aio::Task<> Write(std::shared_ptr<Connection> self);
  static aio::Task<> Watch(std::shared_ptr<Connection> self);

  const std::unique_ptr<ByteStream> stream_;
  const ConnectionLimits limits_;
  Counters& counters_;
  Pipeline pipeline_;
  boost::asio::steady_timer output_;  // cancelled when there is something to write
  boost::asio::steady_timer watch_;
  bool writer_waits_ = false;
  std::optional<Error> draining_;  // why
  aio::Broadcast<Error> closed_;
};

}  // namespace lazaret::redis
