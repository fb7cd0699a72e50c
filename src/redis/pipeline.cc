#include "redis/pipeline.h"

#include <fmt/format.h>

#include <utility>

namespace lazaret::redis {
namespace {

// Short commands are copied together, so that few buffers go into one write; longer ones are worth a buffer of their
// own.
constexpr std::size_t kCopied = 8 * 1024;
constexpr std::size_t kChunk = 64 * 1024;

}  // namespace

Pipeline::Pipeline(PipelineLimits limits, Counters& counters)
    : limits_(limits), counters_(counters), parser_(limits.max_reply_bytes) {}

std::string_view Pipeline::BytesOf(const Chunk& chunk) {
  if (const auto* text = std::get_if<std::string>(&chunk)) return *text;
  return std::get<Command>(chunk).bytes();
}

Result<std::shared_ptr<Pipeline::Call>> Pipeline::Push(std::span<const Command> commands, SteadyTime deadline) {
  std::size_t bytes = 0;
  for (const Command& command : commands) bytes += command.bytes().size();
  const bool fits = commands_ + commands.size() <= limits_.max_commands && bytes_ + bytes <= limits_.max_bytes;
  if (!fits && !calls_.empty()) {
    return Fail(Errc::kOverloaded, fmt::format("{} commands with {} bytes wait for Redis already", commands_, bytes_));
  }
  auto call = std::make_shared<Call>(Call{.commands = commands.size(), .bytes = bytes, .deadline = deadline});
  call->replies.reserve(commands.size());
  for (const Command& command : commands) Append(command);
  calls_.push_back(call);
  ++unsent_;
  commands_ += commands.size();
  bytes_ += bytes;
  return call;
}

void Pipeline::Append(const Command& command) {
  const std::string_view bytes = command.bytes();
  if (bytes.size() > kCopied) {
    output_.emplace_back(command);
    return;
  }
  auto* last = output_.empty() ? nullptr : std::get_if<std::string>(&output_.back());
  if (last == nullptr || last->size() + bytes.size() > kChunk) {
    last = &std::get<std::string>(output_.emplace_back(std::string()));
  }
  last->append(bytes);
}

std::vector<Pipeline::Chunk> Pipeline::TakeOutput() {
  for (; unsent_ > 0; --unsent_) calls_[calls_.size() - unsent_]->sent = true;
  return std::exchange(output_, {});
}

void Pipeline::Wake(Call& call) {
  if (call.waker != nullptr) call.waker->cancel();
}

Result<void> Pipeline::Feed(Bytes bytes) {
  auto replies = parser_.Feed(bytes);
  if (!replies) return std::unexpected(std::move(replies.error()));
  for (Reply& reply : *replies) {
    if (calls_.empty() || !calls_.front()->sent) {
      return Fail(Errc::kMalformed, "Redis sent a reply that nobody asked for");
    }
    Call& call = *calls_.front();
    if (call.waker == nullptr) ++counters_.discarded;
    call.replies.push_back(std::move(reply));
    if (call.replies.size() < call.commands) continue;
    commands_ -= call.commands;
    bytes_ -= call.bytes;
    Wake(call);
    calls_.pop_front();
  }
  return {};
}

void Pipeline::Break(const Error& why) {
  for (const auto& call : std::exchange(calls_, {})) {
    const Errc sent_code = why.code == Errc::kUnavailable ? Errc::kDisconnected : why.code;
    call->failure = Error{call->sent ? sent_code : Errc::kUnavailable, why.what};
    Wake(*call);
  }
  output_.clear();
  unsent_ = commands_ = bytes_ = 0;
}

std::optional<SteadyTime> Pipeline::OldestDeadline() const {
  if (calls_.empty()) return std::nullopt;
  return calls_.front()->deadline;
}

}  // namespace lazaret::redis
