#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/job.h"
#include "core/outbox.h"
#include "fleet/content_place.h"
#include "redis/reply.h"

// What the scripts of the job queue answer and the streams hold, read back: kCorrupt when it is anything else.
namespace lazaret::fleet {

// What a shard holds.
struct ShardFigures {
  std::uint64_t time = 0;  // of Redis, microseconds
  std::uint64_t seq = 0;   // the last number that was given in the shard
  std::uint64_t tick = 0;  // counts its changes
  std::uint64_t unfinished = 0;
  std::uint64_t leased = 0;  // of those
  std::uint64_t done = 0;
  std::uint64_t dead = 0;
  std::uint64_t bytes = 0;               // of unfinished contents
  std::optional<WallTime> oldest;        // submit of the oldest unfinished job
  std::array<std::uint64_t, 2> heads{};  // number of the first small, and large, job that may begin, halved
                                         // when it is urgent; 0: there is none
  std::optional<milliseconds> next_job;  // until a paused or leased job may begin again
  std::uint64_t messages = 0;
  std::optional<milliseconds> next_message;  // until one is due
};

struct ShardAnswer {
  std::int64_t status = 0;
  ShardFigures figures;
  std::vector<std::string> gone;  // "<id>.<name>" of files to delete
  std::vector<redis::Reply> more;
};
Result<ShardAnswer> ParseAnswer(redis::Reply reply);

struct StoredJob {
  Job job;
  std::uint64_t seq;  // its place in line
};
// Of the fields that job_find.lua shows; empty when there are none.
Result<std::optional<StoredJob>> ParseJob(const Digest& id, const std::vector<redis::Reply>& fields);
// Of one line of job_list.lua: the same behind its id.
Result<StoredJob> ParseListedJob(redis::Reply line);

struct TakenJob {
  Digest id;
  std::uint64_t size;
  std::uint32_t attempts;
  std::uint32_t lost;
  ContentPlace place;
  std::string content;  // when it is inline
};
Result<TakenJob> ParseTaken(std::vector<redis::Reply> fields);

// `number` is that of the shard.
Result<Delivery> ParseDelivery(std::vector<redis::Reply> fields);

// Whom to tell, as one text.
std::string PackCallback(const Callback& callback);
std::optional<Callback> UnpackCallback(std::string_view text);

struct StreamEntry {
  std::string stream;  // its key
  std::uint64_t seq;
  std::vector<std::string> fields;  // names and values, in turns
};
// Of XREAD; none of nil.
Result<std::vector<StreamEntry>> ParseEntries(redis::Reply reply);

}  // namespace lazaret::fleet
