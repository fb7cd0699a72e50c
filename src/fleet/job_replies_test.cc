#include "fleet/job_replies.h"

#include <gtest/gtest.h>

#include "core/verdict_encoding.h"
#include "core/verdict_samples.h"
#include "fleet/job_keys.h"

namespace lazaret::fleet {
namespace {

using redis::Reply;

Reply Texts(std::vector<std::string> texts) {
  std::vector<Reply> elements;
  for (std::string& text : texts) elements.push_back(Reply::Bulk(std::move(text)));
  return Reply::Array(std::move(elements));
}
Reply Integers(std::vector<std::int64_t> numbers) {
  std::vector<Reply> elements;
  for (const std::int64_t number : numbers) elements.push_back(Reply::Integer(number));
  return Reply::Array(std::move(elements));
}
Reply Answer(Reply figures) {
  return Reply::Array({Reply::Integer(1), std::move(figures), Texts({"file"}), Texts({"more"})});
}

class JobReplies : public testing::Test {
 protected:
  std::vector<std::string> JobFields(const std::string& state) const {
    return {state, "68",  "1767225600000", "1767225600000001", "2",
            "1",   "why", "c:00ff:3",      "1767225600007",    EncodeVerdict(id_, *SampleInfected(clock_))};
  }

  FakeClock clock_;
  const Digest id_ = SampleDigest(1);
};

TEST_F(JobReplies, ReadsAnswers) {
  const auto answer = ParseAnswer(Answer(Integers({9, 8, 7, 6, 5, 4, 3, 2, 1767225600000, 11, 0, 12, 13, -1})));
  ASSERT_TRUE(answer) << answer.error().what;
  EXPECT_EQ(answer->status, 1);
  EXPECT_EQ(answer->figures.time, 9u);
  EXPECT_EQ(answer->figures.unfinished, 6u);
  EXPECT_EQ(answer->figures.oldest, WallTime(milliseconds(1767225600000)));
  EXPECT_EQ(answer->figures.heads[0], 11u);
  EXPECT_EQ(answer->figures.next_job, milliseconds(12));
  EXPECT_EQ(answer->figures.messages, 13u);
  EXPECT_FALSE(answer->figures.next_message);
  EXPECT_EQ(answer->gone, std::vector<std::string>{"file"});
  EXPECT_EQ(answer->more.size(), 1u);
}

TEST_F(JobReplies, RefusesOtherAnswers) {
  const Reply good = Integers({9, 8, 7, 6, 5, 4, 3, 2, 1, 11, 0, 12, 13, -1});
  EXPECT_TRUE(ParseAnswer(Answer(good)));
  for (std::size_t i = 0; i < good.elements().size(); ++i) {
    auto figures = good.elements();
    figures[i] = Reply();
    EXPECT_FALSE(ParseAnswer(Answer(Reply::Array(figures)))) << i;
    figures.resize(i);
    EXPECT_FALSE(ParseAnswer(Answer(Reply::Array(figures)))) << i;
  }
  EXPECT_FALSE(ParseAnswer(Answer(Integers({-1, 8, 7, 6, 5, 4, 3, 2, 1, 11, 0, 12, 13, -1})))) << "negative";
  EXPECT_FALSE(ParseAnswer(Answer(Integers({9, 8, 7, 6, 5, 4, 3, 2, 1, 11, 0, INT64_MAX, 13, -1})))) << "too far";
  EXPECT_FALSE(ParseAnswer(Reply()));
  EXPECT_FALSE(ParseAnswer(Reply::Array({Reply::Integer(1)})));
}

TEST_F(JobReplies, ReadsJobs) {
  const auto none = ParseJob(id_, {});
  EXPECT_TRUE(none && !*none);
  const auto done = ParseJob(id_, Texts(JobFields("3")).elements());
  ASSERT_TRUE(done && *done) << done.error().what;
  const Job& job = (*done)->job;
  EXPECT_EQ(job.state, JobState::kDone);
  EXPECT_EQ(job.size, 68u);
  EXPECT_EQ(job.attempts, 2u);
  EXPECT_EQ(job.lost, 1u);
  EXPECT_EQ(job.note, "why");
  EXPECT_TRUE(job.has_content);
  EXPECT_EQ(job.finished_at, WallTime(milliseconds(1767225600007)));
  ExpectSame(*job.verdict, *SampleInfected(clock_));
  EXPECT_EQ((*done)->seq, 1767225600000001u);
  // Whatever an unfinished one has there belongs to an earlier end.
  const auto queued = ParseJob(id_, Texts(JobFields("1")).elements());
  ASSERT_TRUE(queued && *queued);
  EXPECT_FALSE((*queued)->job.finished_at);
  EXPECT_EQ((*queued)->job.verdict, nullptr);
}

TEST_F(JobReplies, RefusesDamagedJobs) {
  for (std::size_t i = 0; i < 10; ++i) {
    if (i == 6) continue;  // any text is a note
    auto fields = JobFields("4");
    fields[i] = "x";
    EXPECT_EQ(ParseJob(id_, Texts(fields).elements()).error().code, Errc::kCorrupt) << i;
    fields = JobFields("4");
    fields.resize(i);
    if (i > 0) EXPECT_FALSE(ParseJob(id_, Texts(fields).elements())) << i;
  }
  for (const char* state : {"0", "5", "", "-1", "256"}) {
    EXPECT_FALSE(ParseJob(id_, Texts(JobFields(state)).elements())) << state;
  }
  EXPECT_FALSE(ParseJob(SampleDigest(2), Texts(JobFields("3")).elements())) << "another content's verdict";
  EXPECT_FALSE(ParseListedJob(Texts({"no id"})));
  EXPECT_FALSE(ParseListedJob(Reply()));
}

TEST_F(JobReplies, ReadsWhatWasTaken) {
  const std::vector<std::string> good = {id_.Hex(), "3", "1", "2", "i", "abc"};
  const auto taken = ParseTaken(Texts(good).elements());
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->id, id_);
  EXPECT_EQ(taken->size, 3u);
  EXPECT_EQ(taken->attempts, 1u);
  EXPECT_EQ(taken->lost, 2u);
  EXPECT_EQ(taken->place.kind, ContentPlace::Kind::kInline);
  EXPECT_EQ(taken->content, "abc");
  for (std::size_t i = 0; i < 5; ++i) {
    auto fields = good;
    fields[i] = "x";
    const auto damaged = ParseTaken(Texts(fields).elements());
    EXPECT_EQ(damaged.has_value(), i == 4) << i;
    if (damaged) EXPECT_EQ(damaged->place, ContentPlace{}) << "the content is lost, and the job has an end";
    fields.resize(i);
    EXPECT_FALSE(ParseTaken(Texts(fields).elements())) << i;
  }
}

TEST_F(JobReplies, ReadsMessages) {
  const Callback callback{"https://a.example/", "3:a name"};
  const std::vector<std::string> good = {
      "17", id_.Hex(), PackCallback(callback), EncodeVerdict(id_, *SampleClean(clock_)), "abcd", "5"};
  const auto delivery = ParseDelivery(Texts(good).elements());
  ASSERT_TRUE(delivery) << delivery.error().what;
  EXPECT_EQ(delivery->number, 17u);
  EXPECT_EQ(delivery->message_id, "msg_abcd");
  EXPECT_EQ(delivery->callback, callback);
  EXPECT_EQ(delivery->attempts, 5u);
  for (std::size_t i = 0; i < 6; ++i) {
    if (i == 4) continue;
    auto fields = good;
    fields[i] = "x";
    EXPECT_FALSE(ParseDelivery(Texts(fields).elements())) << i;
  }
}

TEST_F(JobReplies, CallbacksComeBackAsTheyWere) {
  for (const Callback& callback : {Callback{"", ""}, {"https://a/", ""}, {"", "name"}, {"1:", "2:x"}}) {
    EXPECT_EQ(UnpackCallback(PackCallback(callback)), callback);
  }
  for (const char* text : {"", "5", "5:abcd", "x:", "-1:", "99999999999999999999:"}) {
    EXPECT_FALSE(UnpackCallback(text)) << text;
  }
}

TEST_F(JobReplies, ReadsStreams) {
  const auto entry = [](const char* id) { return Reply::Array({Reply::Bulk(id), Texts({"id", "value"})}); };
  const Reply reply = Reply::Array({Reply::Array({Reply::Bulk("a"), Reply::Array({entry("5-0"), entry("7-1")})}),
                                    Reply::Array({Reply::Bulk("b"), Reply::Array({entry("6-0")})})});
  const auto entries = ParseEntries(reply);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[1].seq, 7u);
  EXPECT_EQ((*entries)[2].stream, "b");
  EXPECT_EQ((*entries)[2].fields, (std::vector<std::string>{"id", "value"}));
  EXPECT_TRUE(ParseEntries(Reply())->empty());
  EXPECT_FALSE(ParseEntries(Reply::Integer(1)));
  EXPECT_FALSE(ParseEntries(Reply::Array({Reply::Array({Reply::Bulk("a")})})));
  EXPECT_FALSE(ParseEntries(Reply::Array({Reply::Array({Reply::Bulk("a"), Reply::Array({entry("x-0")})})})));
}

TEST(ContentPlace, ComesBackAsItWas) {
  for (const char* text : {"", "i", "c:00ff:1", "c:0:8192", "f:abc"}) {
    const auto place = ContentPlace::Parse(text);
    ASSERT_TRUE(place) << text;
    EXPECT_EQ(place->Text(), text);
  }
  for (const char* text : {"x", "ii", "c:", "c:00ff", "c:00ff:", "c:00ff:0", "c:00ff:8193", "c:00ff:01", "c:x:1",
                           "c::1", "c:00ff:1:1", "f:", "f:..", "f:a/b", "f:ABC"}) {
    EXPECT_FALSE(ContentPlace::Parse(text)) << text;
  }
  EXPECT_TRUE(ContentPlace::Parse("f:" + std::string(64, 'a')));
  EXPECT_FALSE(ContentPlace::Parse("f:" + std::string(65, 'a')));
}

TEST(ShardKeys, AreOfOneSlot) {
  const ShardKeys keys(3);
  for (const std::string& key : keys.all()) EXPECT_TRUE(key.starts_with("lz:{q3}:")) << key;
  EXPECT_EQ(keys.Job(SampleDigest(1)), "lz:{q3}:job:" + SampleDigest(1).Hex());
  EXPECT_EQ(keys.Chunk(SampleDigest(1), "ab", 2), "lz:{q3}:content:" + SampleDigest(1).Hex() + ":ab:2");
}

TEST(ShardKeys, ShardsAreEvenlyUsed) {
  std::vector<int> used(8);
  for (std::size_t i = 0; i < 8000; ++i) ++used[ShardOf(SampleDigest(i), 8)];
  for (const int count : used) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace lazaret::fleet
