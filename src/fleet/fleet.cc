#include "fleet/fleet.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>
#include <utility>

#include "aio/deadline.h"
#include "base/exception.h"
#include "fleet/embedded_lua.h"
#include "fleet/redis_failure.h"

namespace lazaret::fleet {
namespace {

std::vector<std::string> Keys() { return {"lz:{nodes}:seen", "lz:{nodes}:records", "lz:{nodes}:version"}; }

std::optional<milliseconds> ParseTime(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return milliseconds(value);
}

auto AgeOf(const EngineInfo& engine) { return std::tie(engine.built_at, engine.signature_set, engine.profile); }

bool IsOlder(const EngineInfo& a, const EngineInfo& b) {
  if (a.test_set != b.test_set) return a.test_set;
  return AgeOf(a) < AgeOf(b);  // no time is before any
}

}  // namespace

EngineInfoPtr NewestEngine(const std::vector<Node>& nodes) {
  EngineInfoPtr newest;
  for (const Node& node : nodes) {
    const EngineInfoPtr& engine = node.record.engine;
    if (!node.record.takes_jobs || engine == nullptr) continue;
    if (newest == nullptr || IsOlder(*newest, *engine)) newest = engine;
  }
  return newest;
}

Fleet::Fleet(redis::Client& client, aio::Executor executor, std::string id, std::function<NodeRecord()> describe,
             Settings settings, const Clock& clock, Log& log)
    : client_(client),
      id_(std::move(id)),
      describe_(std::move(describe)),
      settings_(settings),
      clock_(clock),
      log_(log),
      beat_(std::string(EmbeddedLua("node_beat.lua"))),
      leave_(std::string(EmbeddedLua("node_leave.lua"))),
      standing_(log, "other nodes cannot be heard", "other nodes can be heard again"),
      tasks_(std::move(executor),
             [this](std::exception_ptr error) { log_.Error("fleet failed", {{"error", WhatOf(error)}}); }) {}

void Fleet::Start() { tasks_.Spawn(Run()); }

aio::Task<> Fleet::Stop() {
  tasks_.Close();
  tasks_.CancelAll();
  co_await tasks_.Wait();
  std::vector<std::string> arguments(1, id_);
  co_await client_.Eval(leave_, Keys(), std::move(arguments), {.deadline = clock_.SteadyNow() + settings_.beat / 4});
}

aio::Task<> Fleet::Run() {
  for (;;) {
    const SteadyTime next = clock_.SteadyNow() + settings_.beat;
    const auto heard = co_await Beat();
    if (heard) {
      standing_.Works();
    } else {
      standing_.Fails(heard.error());
    }
    co_await aio::SleepUntil(next);
  }
}

aio::Task<Result<void>> Fleet::Beat() {
  std::vector<std::string> arguments = {id_, EncodeNodeRecord(describe_()),
                                        std::to_string(settings_.gone_after.count()), version_};
  auto reply =
      co_await client_.Eval(beat_, Keys(), std::move(arguments),
                            {.deadline = clock_.SteadyNow() + settings_.beat, .repeat = redis::Repeat::kAllowed});
  if (!reply) co_return std::unexpected(Explain(std::move(reply.error())));
  co_return Hear(*std::move(reply));
}

Result<void> Fleet::Hear(redis::Reply reply) {
  constexpr std::string_view kWhat = "the list of nodes";
  auto fields = std::move(reply).ToArray(kWhat);
  if (!fields) return std::unexpected(fields.error());
  const auto corrupt = [] { return Fail(Errc::kCorrupt, "Redis does not know the nodes in the form that we wrote"); };
  if (fields->size() != 4) return corrupt();
  const auto now = ParseTime((*fields)[0].text());
  const std::vector<redis::Reply>& seen = (*fields)[2].elements();
  const std::vector<redis::Reply>& records = (*fields)[3].elements();
  if (!now || seen.size() % 2 != 0 || records.size() % 2 != 0) return corrupt();

  if ((*fields)[3].IsArray()) {
    std::map<std::string, NodeRecord> read;
    for (std::size_t i = 0; i < records.size(); i += 2) {
      // Of another Lazaret, perhaps a newer one: it is not for us.
      if (auto record = DecodeNodeRecord(AsBytes(records[i + 1].text())))
        read.emplace(records[i].text(), *std::move(record));
    }
    records_ = std::move(read);
    version_ = (*fields)[1].text();
  }
  std::vector<Node> nodes;
  for (std::size_t i = 0; i < seen.size(); i += 2) {
    const auto record = records_.find(seen[i].text());
    const auto at = ParseTime(seen[i + 1].text());
    if (!at) return corrupt();
    if (record == records_.end()) continue;
    nodes.push_back({.id = record->first, .record = record->second, .silent = std::max(*now - *at, milliseconds(0))});
  }
  std::ranges::sort(nodes, {}, &Node::id);
  EngineInfoPtr newest = NewestEngine(nodes);
  std::lock_guard lock(mutex_);
  nodes_ = std::move(nodes);
  heard_at_ = clock_.SteadyNow();
  const bool same = newest != nullptr && engine_ != nullptr && newest->SameIdentity(*engine_);
  if (!same) engine_ = std::move(newest);
  return {};
}

bool Fleet::IsCurrent() const {
  return heard_at_ != SteadyTime::min() && clock_.SteadyNow() - heard_at_ < settings_.gone_after;
}

std::vector<Node> Fleet::Nodes() const {
  std::lock_guard lock(mutex_);
  return IsCurrent() ? nodes_ : std::vector<Node>();
}

EngineInfoPtr Fleet::Engine() const {
  std::lock_guard lock(mutex_);
  return IsCurrent() ? engine_ : nullptr;
}

}  // namespace lazaret::fleet
