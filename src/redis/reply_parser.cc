#include "redis/reply_parser.h"

#include <fmt/format.h>
#include <hiredis/read.h>

#include <algorithm>
#include <new>
#include <utility>

namespace lazaret::redis {
namespace {

// hiredis moves what is left in its buffer after every KiB that it parsed: a large buffer full of small replies would
// be moved very often.
constexpr std::size_t kSlice = 16 * 1024;
constexpr int kMostReserved = 1024;

Reply::Kind TextKind(int type) {
  if (type == REDIS_REPLY_STATUS) return Reply::Kind::kStatus;
  return type == REDIS_REPLY_ERROR ? Reply::Kind::kError : Reply::Kind::kBulk;
}

}  // namespace

// C callbacks: they return null when memory is short, which hiredis reports.
struct ReplyParser::Callbacks {
  static ReplyParser& Self(const redisReadTask* task) { return *static_cast<ReplyParser*>(task->privdata); }

  static void* String(const redisReadTask* task, char* bytes, std::size_t size) noexcept try {
    return Self(task).Add(task, Reply(TextKind(task->type), std::string(bytes, size)));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  static void* Array(const redisReadTask* task, int elements) noexcept try {
    Reply* const added = Self(task).Add(task, Reply::Array({}));
    added->elements_.reserve(static_cast<std::size_t>(std::clamp(elements, 0, kMostReserved)));
    return added;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  static void* Integer(const redisReadTask* task, long long value) noexcept try {
    return Self(task).Add(task, Reply::Integer(value));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  static void* Nil(const redisReadTask* task) noexcept try {
    return Self(task).Add(task, Reply());
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  static void Free(void*) noexcept {}  // root_ owns what there is

  static inline redisReplyObjectFunctions functions{&String, &Array, &Integer, &Nil, &Free};
};

void ReplyParser::FreeReader::operator()(redisReader* reader) const { redisReaderFree(reader); }

ReplyParser::ReplyParser(std::size_t max_reply_bytes)
    : max_reply_bytes_(max_reply_bytes), reader_(redisReaderCreateWithFunctions(&Callbacks::functions)) {
  if (reader_ == nullptr) throw std::bad_alloc();
  reader_->privdata = this;
}

ReplyParser::~ReplyParser() = default;

Reply* ReplyParser::Add(const redisReadTask* task, Reply reply) {
  if (task->parent == nullptr) {
    root_ = std::make_unique<Reply>(std::move(reply));
    return root_.get();
  }
  // Only the last element of an array can be an array that is not complete: growing moves none that is in use.
  ++elements_;
  return &static_cast<Reply*>(task->parent->obj)->elements_.emplace_back(std::move(reply));
}

Result<std::vector<Reply>> ReplyParser::Feed(Bytes bytes) {
  std::vector<Reply> complete;
  while (!bytes.empty()) {
    const Bytes slice = bytes.first(std::min(bytes.size(), kSlice));
    bytes = bytes.subspan(slice.size());
    if (auto fed = FeedSlice(slice, complete); !fed) return std::unexpected(std::move(fed.error()));
  }
  return complete;
}

Result<void> ReplyParser::FeedSlice(Bytes bytes, std::vector<Reply>& complete) {
  const auto failure = [this] {
    return Fail(Errc::kMalformed, fmt::format("the answer is not Redis protocol: {}", reader_->errstr));
  };
  if (redisReaderFeed(reader_.get(), AsText(bytes).data(), bytes.size()) != REDIS_OK) return failure();
  for (;;) {
    const std::size_t before = reader_->len - reader_->pos;
    void* reply = nullptr;
    if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) return failure();
    consumed_ += before - (reader_->len - reader_->pos);
    if (auto fits = CheckSize(); !fits) return fits;
    if (reply == nullptr) return {};
    complete.push_back(std::move(*root_));
    root_.reset();
    consumed_ = 0;
    elements_ = 0;
  }
}

Result<void> ReplyParser::CheckSize() const {
  const bool is_complete = reader_->ridx == -1;
  const std::size_t waiting = is_complete ? 0 : reader_->len - reader_->pos;
  if (consumed_ + waiting + elements_ * sizeof(Reply) <= max_reply_bytes_) return {};
  return Fail(Errc::kTooLarge, fmt::format("a reply of Redis is over the limit of {} bytes", max_reply_bytes_));
}

}  // namespace lazaret::redis
