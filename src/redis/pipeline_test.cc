#include "redis/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace lazaret::redis {
namespace {

using testing::ElementsAre;
using CallPtr = std::shared_ptr<Pipeline::Call>;

class PipelineTest : public testing::Test {
 protected:
  CallPtr Push(std::vector<Command> commands, SteadyTime deadline = SteadyTime::max()) {
    auto call = pipeline_.Push(commands, deadline);
    EXPECT_TRUE(call);
    return call.value_or(nullptr);
  }
  std::string Output() {
    std::string all;
    for (const auto& chunk : pipeline_.TakeOutput()) all += Pipeline::BytesOf(chunk);
    return all;
  }
  Result<void> Feed(std::string_view text) { return pipeline_.Feed(AsBytes(text)); }

  Counters counters_;
  PipelineLimits limits_{.max_commands = 4, .max_bytes = 100, .max_reply_bytes = 100};
  Pipeline pipeline_{limits_, counters_};
};

TEST_F(PipelineTest, GathersWhatIsToBeWritten) {
  Push({{"A"}, {"B"}});
  Push({{"C"}});
  EXPECT_TRUE(pipeline_.HasOutput());
  const auto chunks = pipeline_.TakeOutput();
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(Pipeline::BytesOf(chunks[0]), "*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n*1\r\n$1\r\nC\r\n");
  EXPECT_FALSE(pipeline_.HasOutput());
}

TEST_F(PipelineTest, KeepsTheOrderAroundLargeCommands) {
  Pipeline pipeline({}, counters_);
  std::string expected;
  for (const std::size_t size : {1u, 8'000u, 9'000u, 1u, 70'000u, 60'000u, 7'000u}) {
    const std::vector<Command> commands = {Command::Of("ECHO", std::string(size, static_cast<char>('a' + size % 7)))};
    expected += commands[0].bytes();
    ASSERT_TRUE(pipeline.Push(commands, SteadyTime::max()));
  }
  std::string all;
  for (const auto& chunk : pipeline.TakeOutput()) all += Pipeline::BytesOf(chunk);
  EXPECT_TRUE(all == expected);
}

TEST_F(PipelineTest, MatchesRepliesInOrderAtEverySplit) {
  const std::string replies = "+a\r\n$3\r\nb\r\n\r\n*1\r\n:3\r\n-ERR d\r\n";
  for (std::size_t split = 0; split <= replies.size(); ++split) {
    Pipeline pipeline(limits_, counters_);
    const std::vector<Command> one = {{"A"}};
    const std::vector<Command> two = {{"B"}, {"C"}};
    const CallPtr first = *pipeline.Push(one, SteadyTime::max());
    const CallPtr second = *pipeline.Push(two, SteadyTime::max());
    const CallPtr third = *pipeline.Push(one, SteadyTime::max());
    pipeline.TakeOutput();
    ASSERT_TRUE(pipeline.Feed(AsBytes(std::string_view(replies).substr(0, split))));
    ASSERT_TRUE(pipeline.Feed(AsBytes(std::string_view(replies).substr(split))));
    EXPECT_THAT(first->replies, ElementsAre(Reply::Status("a")));
    EXPECT_THAT(second->replies, ElementsAre(Reply::Bulk("b\r\n"), Reply::Array({Reply::Integer(3)})));
    EXPECT_THAT(third->replies, ElementsAre(Reply::MakeError("ERR d")));
    EXPECT_EQ(pipeline.commands(), 0u);
  }
}

TEST_F(PipelineTest, IsDoneWithTheLastReplyOfAGroup) {
  const CallPtr call = Push({{"A"}, {"B"}});
  Output();
  ASSERT_TRUE(Feed("+a\r\n"));
  EXPECT_FALSE(call->is_done());
  ASSERT_TRUE(Feed("+b\r\n"));
  EXPECT_TRUE(call->is_done());
}

TEST_F(PipelineTest, LimitsTheCommandsThatWait) {
  Push({{"A"}, {"B"}, {"C"}});
  const std::vector<Command> two = {{"D"}, {"E"}};
  EXPECT_EQ(pipeline_.Push(two, SteadyTime::max()).error().code, Errc::kOverloaded);
  Push({{"D"}});
  Output();
  ASSERT_TRUE(Feed("+a\r\n+b\r\n+c\r\n"));
  EXPECT_EQ(pipeline_.commands(), 1u);
  Push({{"E"}, {"F"}});
}

TEST_F(PipelineTest, LimitsTheBytesThatWait) {
  const Command forty = Command::Of("ECHO", std::string(40 - 21, 'x'));
  ASSERT_EQ(forty.bytes().size(), 40u);
  Push({forty, forty});
  const Command twenty_one = Command::Of("ECHO", "xx");
  const std::vector<Command> over = {Command::Of("ECHO", "x")};
  ASSERT_EQ(over[0].bytes().size(), 21u);
  EXPECT_EQ(pipeline_.Push(over, SteadyTime::max()).error().code, Errc::kOverloaded);
  const Command twenty = Command::Of("ECHO", "");
  ASSERT_EQ(twenty.bytes().size(), 20u);
  Push({twenty});
}

TEST_F(PipelineTest, TakesWhatIsTooLargeWhenNothingElseWaits) {
  Push({Command::Of("ECHO", std::string(1000, 'x'))});
  const std::vector<Command> another = {{"A"}};
  EXPECT_EQ(pipeline_.Push(another, SteadyTime::max()).error().code, Errc::kOverloaded);
  Output();
  ASSERT_TRUE(Feed("+OK\r\n"));
  Push({{"A"}});
}

TEST_F(PipelineTest, KnowsTheOldestDeadline) {
  EXPECT_EQ(pipeline_.OldestDeadline(), std::nullopt);
  const SteadyTime early{seconds(5)};
  const SteadyTime late{seconds(9)};
  Push({{"A"}}, late);
  Push({{"B"}}, early);
  EXPECT_EQ(pipeline_.OldestDeadline(), late);
  Output();
  ASSERT_TRUE(Feed("+a\r\n"));
  EXPECT_EQ(pipeline_.OldestDeadline(), early);
}

TEST_F(PipelineTest, TellsWhatWasNeverSent) {
  const CallPtr sent = Push({{"A"}});
  Output();
  const CallPtr unsent = Push({{"B"}});
  pipeline_.Break({Errc::kDisconnected, "gone"});
  EXPECT_EQ(sent->failure, (Error{Errc::kDisconnected, "gone"}));
  EXPECT_EQ(unsent->failure, (Error{Errc::kUnavailable, "gone"}));
  EXPECT_FALSE(pipeline_.HasOutput());
}

TEST_F(PipelineTest, NeverSaysOfWhatWasSentThatItWasNotExecuted) {
  const CallPtr sent = Push({{"A"}});
  Output();
  pipeline_.Break({Errc::kUnavailable, "stopping"});
  EXPECT_EQ(sent->failure, (Error{Errc::kDisconnected, "stopping"}));
}

TEST_F(PipelineTest, RefusesRepliesThatNobodyAskedFor) {
  EXPECT_EQ(Feed("+a\r\n").error().code, Errc::kMalformed);
  Pipeline other(limits_, counters_);
  const std::vector<Command> unsent = {{"A"}};
  ASSERT_TRUE(other.Push(unsent, SteadyTime::max()));
  EXPECT_EQ(other.Feed(AsBytes("+a\r\n")).error().code, Errc::kMalformed);
}

TEST_F(PipelineTest, CountsRepliesThatNobodyWaitsFor) {
  Push({{"A"}});  // nobody waits: there is no waker
  Output();
  ASSERT_TRUE(Feed("+a\r\n"));
  EXPECT_EQ(counters_.discarded, 1u);
}

}  // namespace
}  // namespace lazaret::redis
