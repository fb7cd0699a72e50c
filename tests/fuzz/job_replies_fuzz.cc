// What Redis holds of jobs is read or refused, whatever it is; what is read is within its bounds.
#include "fleet/job_replies.h"
#include "fleet/redis_checkup.h"
#include "fuzz_support.h"
#include "redis/reply_parser.h"

using namespace lazaret;
using namespace lazaret::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = Text(data, size);
  if (const auto place = fleet::ContentPlace::Parse(text)) {
    Require(place->Text() == text, "places come back as they were");
    Require(place->chunks <= fleet::kMaxChunks, "chunks are bounded");
  }
  if (const auto callback = fleet::UnpackCallback(text)) {
    Require(callback->url.size() + callback->name.size() < text.size(), "callbacks are parts of their text");
    Require(fleet::UnpackCallback(fleet::PackCallback(*callback)) == callback, "callbacks come back as they were");
  }
  fleet::RedisFacts facts;
  fleet::RedisCheckup::ReadInfo(text, facts);
  fleet::RedisCheckup::Advise(facts, 1);

  redis::ReplyParser parser(1 << 16);
  const auto replies = parser.Feed(AsBytes(text));
  if (!replies) return 0;
  for (const redis::Reply& reply : *replies) {
    const auto corrupt = [](const auto& result) { return result || result.error().code == Errc::kCorrupt; };
    Require(corrupt(fleet::ParseAnswer(reply)), "answers are read or corrupt");
    Require(corrupt(fleet::ParseEntries(reply)), "entries are read or corrupt");
    Require(corrupt(fleet::ParseListedJob(reply)), "jobs are read or corrupt");
    Require(corrupt(fleet::ParseTaken(reply.elements())), "jobs are read or corrupt");
    Require(corrupt(fleet::ParseDelivery(reply.elements())), "messages are read or corrupt");
    const auto job = fleet::ParseJob(Sha256::Of(AsBytes(text)), reply.elements());
    Require(corrupt(job), "jobs are read or corrupt");
    if (job && *job) Require((*job)->job.IsFinished() == ((*job)->job.verdict != nullptr), "verdicts are of the end");
  }
  return 0;
}
