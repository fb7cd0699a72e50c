#include "fleet/job_replies.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "core/verdict_encoding.h"

namespace lazaret::fleet {
namespace {

using redis::Reply;

constexpr std::size_t kFigures = 14;
constexpr std::size_t kJobFields = 10;
// So that no sum of times overflows.
constexpr std::int64_t kLongest = milliseconds(std::chrono::years(1000)).count();

std::unexpected<Error> Corrupt(std::string_view what) {
  return Fail(Errc::kCorrupt, fmt::format("{} in Redis is not what Lazaret writes", what));
}

// Whole texts that are numbers, and nothing else.
template <class Number>
bool Read(std::string_view text, Number& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size();
}

// Fields one behind the other. What is missing or of another kind reads as zero or empty and makes it not ok.
class Fields {
 public:
  explicit Fields(const std::vector<Reply>& replies) : replies_(replies) {}

  template <class Number>
  Number Get() {
    Number number{};
    const Reply* reply = Next();
    if (reply == nullptr) return number;
    if (reply->kind() == Reply::Kind::kInteger) {
      if (!std::in_range<Number>(reply->integer())) return Spoil(number);
      return static_cast<Number>(reply->integer());
    }
    return reply->kind() == Reply::Kind::kBulk && Read(reply->text(), number) ? number : Spoil(Number{});
  }
  std::string_view Text() {
    const Reply* reply = Next();
    if (reply == nullptr) return {};
    if (reply->kind() != Reply::Kind::kBulk) ok_ = false;
    return reply->text();
  }
  std::optional<WallTime> Time() {
    const auto at = Get<std::int64_t>();
    if (at < 0) return std::nullopt;
    if (at > kLongest) ok_ = false;
    return WallTime(milliseconds(at));
  }
  std::optional<milliseconds> Duration() {
    const auto time = Time();
    return time ? std::optional(time->time_since_epoch()) : std::nullopt;
  }
  bool ok() const { return ok_; }

 private:
  const Reply* Next() {
    if (at_ < replies_.size()) return &replies_[at_++];
    ok_ = false;
    return nullptr;
  }
  template <class Number>
  Number Spoil(Number) {
    ok_ = false;
    return Number{};
  }

  const std::vector<Reply>& replies_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

Result<ShardFigures> ParseFigures(const std::vector<Reply>& replies) {
  Fields fields(replies);
  ShardFigures figures;
  figures.time = fields.Get<std::uint64_t>();
  figures.seq = fields.Get<std::uint64_t>();
  figures.tick = fields.Get<std::uint64_t>();
  figures.unfinished = fields.Get<std::uint64_t>();
  figures.leased = fields.Get<std::uint64_t>();
  figures.done = fields.Get<std::uint64_t>();
  figures.dead = fields.Get<std::uint64_t>();
  figures.bytes = fields.Get<std::uint64_t>();
  figures.oldest = fields.Time();
  for (std::uint64_t& head : figures.heads) head = fields.Get<std::uint64_t>();
  figures.next_job = fields.Duration();
  figures.messages = fields.Get<std::uint64_t>();
  figures.next_message = fields.Duration();
  if (!fields.ok() || replies.size() != kFigures) return Corrupt("the state of the job queue");
  return figures;
}

}  // namespace

Result<ShardAnswer> ParseAnswer(Reply reply) {
  auto parts = std::move(reply).ToArray("the answer of a script");
  if (!parts) return std::unexpected(std::move(parts.error()));
  if (parts->size() != 4) return Corrupt("the answer of a script");
  ShardAnswer answer;
  const auto status = (*parts)[0].ToInteger("the status of a script");
  if (!status) return std::unexpected(status.error());
  answer.status = *status;
  auto figures = ParseFigures((*parts)[1].elements());
  if (!figures) return std::unexpected(std::move(figures.error()));
  answer.figures = *figures;
  for (const Reply& file : (*parts)[2].elements()) answer.gone.push_back(file.text());
  answer.more = std::move((*parts)[3]).elements();
  return answer;
}

Result<std::optional<StoredJob>> ParseJob(const Digest& id, const std::vector<Reply>& replies) {
  if (replies.empty()) return std::nullopt;
  const std::string what = "the job " + id.Hex();
  Fields fields(replies);
  const auto state = fields.Get<std::uint8_t>();
  if (state < static_cast<std::uint8_t>(JobState::kQueued) || state > static_cast<std::uint8_t>(JobState::kDead)) {
    return Corrupt(what);
  }
  Job job{.id = id,
          .state = static_cast<JobState>(state),
          .size = fields.Get<std::uint64_t>(),
          .submitted_at = fields.Time().value_or(WallTime()),
          .attempts = 0,
          .lost = 0,
          .note = {},
          .has_content = false,
          .finished_at = std::nullopt,
          .verdict = nullptr};
  const auto seq = fields.Get<std::uint64_t>();
  job.attempts = fields.Get<std::uint32_t>();
  job.lost = fields.Get<std::uint32_t>();
  job.note = fields.Text();
  const auto place = ContentPlace::Parse(fields.Text());
  if (!place) return Corrupt(what);
  job.has_content = place->kind != ContentPlace::Kind::kNowhere;
  if (job.IsFinished()) {
    job.finished_at = fields.Time();
    auto verdict = DecodeVerdict(id, AsBytes(fields.Text()));
    if (!verdict || !job.finished_at) return Corrupt(what);
    job.verdict = *std::move(verdict);
  }
  if (!fields.ok() || replies.size() != kJobFields) return Corrupt(what);
  return StoredJob{std::move(job), seq};
}

Result<StoredJob> ParseListedJob(Reply line) {
  std::vector<Reply> fields = std::move(line).elements();
  if (fields.empty()) return Corrupt("a job");
  const auto id = Digest::FromHex(fields.front().text());
  if (!id) return Corrupt("a job");
  fields.erase(fields.begin());
  auto job = ParseJob(*id, fields);
  if (!job) return std::unexpected(std::move(job.error()));
  if (!*job) return Corrupt("a job");
  return **std::move(job);
}

Result<TakenJob> ParseTaken(std::vector<Reply> replies) {
  Fields fields(replies);
  const auto id = Digest::FromHex(fields.Text());
  if (!id) return Corrupt("a job");
  TakenJob taken{.id = *id,
                 .size = fields.Get<std::uint64_t>(),
                 .attempts = fields.Get<std::uint32_t>(),
                 .lost = fields.Get<std::uint32_t>(),
                 .place = {},
                 .content = {}};
  // A content that cannot be found is a lost one: the job has an end all the same.
  taken.place = ContentPlace::Parse(fields.Text()).value_or(ContentPlace{});
  fields.Text();
  if (!fields.ok() || replies.size() != 6) return Corrupt("the job " + id->Hex());
  taken.content = std::move(replies.back()).text();
  return taken;
}

Result<Delivery> ParseDelivery(std::vector<Reply> replies) {
  Fields fields(replies);
  const auto number = fields.Get<std::uint64_t>();
  const auto id = Digest::FromHex(fields.Text());
  auto callback = UnpackCallback(fields.Text());
  if (!id || !callback) return Corrupt("a message");
  auto verdict = DecodeVerdict(*id, AsBytes(fields.Text()));
  if (!verdict) return std::unexpected(std::move(verdict.error()));
  Delivery delivery{.number = number,
                    .message_id = "msg_" + std::string(fields.Text()),
                    .id = *id,
                    .callback = *std::move(callback),
                    .verdict = *std::move(verdict),
                    .attempts = fields.Get<std::uint32_t>()};
  if (!fields.ok() || replies.size() != 6) return Corrupt("a message");
  return delivery;
}

std::string PackCallback(const Callback& callback) {
  return fmt::format("{}:{}{}", callback.url.size(), callback.url, callback.name);
}

std::optional<Callback> UnpackCallback(std::string_view text) {
  const std::size_t colon = text.find(':');
  std::size_t size = 0;
  if (colon == text.npos || !Read(text.substr(0, colon), size)) return std::nullopt;
  text.remove_prefix(colon + 1);
  if (size > text.size()) return std::nullopt;
  return Callback{std::string(text.substr(0, size)), std::string(text.substr(size))};
}

Result<std::vector<StreamEntry>> ParseEntries(Reply reply) {
  std::vector<StreamEntry> found;
  if (reply.IsNil()) return found;
  auto streams = std::move(reply).ToArray("the answer of XREAD");
  if (!streams) return std::unexpected(std::move(streams.error()));
  for (const Reply& stream : *streams) {
    if (stream.elements().size() != 2) return Corrupt("a stream");
    const std::string& key = stream.elements()[0].text();
    for (const Reply& entry : stream.elements()[1].elements()) {
      if (entry.elements().size() != 2) return Corrupt("an entry of " + key);
      const std::string_view id = entry.elements()[0].text();
      StreamEntry& one = found.emplace_back(StreamEntry{.stream = key, .seq = 0, .fields = {}});
      if (!Read(id.substr(0, id.find('-')), one.seq)) return Corrupt("an entry of " + key);
      for (const Reply& field : entry.elements()[1].elements()) one.fields.push_back(field.text());
    }
  }
  return found;
}

}  // namespace lazaret::fleet
