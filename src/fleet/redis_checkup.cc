#include "fleet/redis_checkup.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <utility>

#include "fleet/job_errors.h"
#include "redis/slot.h"
#include "redis/topology.h"

namespace lazaret::fleet {
namespace {

using redis::Command;
using redis::Reply;

std::optional<std::uint64_t> ToNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "" when the reply is not the one setting that was asked for.
std::optional<std::string> Setting(const Result<Reply>& reply) {
  if (!reply || reply->elements().size() != 2) return std::nullopt;
  return reply->elements()[1].text();
}

void ReadConfig(const std::vector<Result<Reply>>& replies, RedisFacts& facts) {
  if (const auto maxmemory = Setting(replies[0])) facts.maxmemory = ToNumber(*maxmemory);
  if (auto eviction = Setting(replies[1])) facts.eviction = std::move(eviction);
  if (const auto append_only = Setting(replies[2])) facts.append_only = *append_only == "yes";
  if (auto append_fsync = Setting(replies[3])) facts.append_fsync = std::move(append_fsync);
  if (auto save = Setting(replies[4])) facts.save = std::move(save);
}

aio::Task<Result<RedisFacts>> Ask(redis::Client& client, std::string key, std::string server, bool in_cluster,
                                  SteadyTime deadline) {
  RedisFacts facts{.server = std::move(server), .in_cluster = in_cluster};
  std::vector<Command> commands(1, Command{"INFO"});
  for (const char* name : {"maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save"}) {
    commands.push_back({"CONFIG", "GET", name});
  }
  const redis::Client::Options options{.deadline = deadline, .repeat = redis::Repeat::kAllowed};
  auto replies = co_await client.CallAll(std::move(key), std::move(commands), options);
  if (!replies[0]) co_return std::unexpected(JobErrorOf(std::move(replies[0].error())));
  RedisCheckup::ReadInfo(replies[0]->text(), facts);
  replies.erase(replies.begin());
  ReadConfig(replies, facts);
  co_return facts;
}

// A key of ours that lies there.
std::string KeyIn(std::uint16_t first, std::uint16_t last) {
  for (int i = 0;; ++i) {
    std::string key = fmt::format("lz:{{{}}}", i);
    if (const auto slot = redis::SlotOf(key); slot >= first && slot <= last) return key;
  }
}

void AdviseOnMemory(const RedisFacts& facts, std::vector<std::string>& advice) {
  const bool limited = facts.maxmemory && *facts.maxmemory > 0;
  if (facts.maxmemory && !limited) {
    advice.push_back(
        "it has no maxmemory: when the machine's memory is full the kernel ends it, with whatever was not saved; set "
        "maxmemory below the machine's memory");
  }
  if (!limited || !facts.eviction) return;
  if (facts.eviction->starts_with("allkeys")) {
    advice.push_back(fmt::format(
        "when its memory is full it throws away any key, accepted jobs among them (maxmemory-policy {}); set "
        "maxmemory-policy to volatile-lru: then old verdicts go, and jobs stay",
        *facts.eviction));
  } else if (*facts.eviction == "noeviction") {
    advice.push_back(
        "when its memory is full of verdicts it takes no jobs until some expire (maxmemory-policy noeviction); "
        "volatile-lru makes room by itself");
  }
}

void AdviseOnDisk(const RedisFacts& facts, std::vector<std::string>& advice) {
  if (facts.cannot_save) {
    advice.push_back("its last attempt to save to its disk failed: look into its log, and make room on the disk");
  }
  if (!facts.append_only) return;
  if (!*facts.append_only) {
    if (facts.save && facts.save->empty()) {
      advice.push_back(
          "it saves nothing (appendonly no, save \"\"): a restart forgets every accepted job; set appendonly yes");
    } else {
      advice.push_back(
          "it only saves now and then (appendonly no): a restart forgets the jobs that were accepted since the last "
          "snapshot; set appendonly yes");
    }
  } else if (facts.append_fsync == "everysec") {
    advice.push_back(
        "a crash of its machine loses the jobs that were accepted in the last second or two (appendfsync everysec); "
        "appendfsync always keeps them, more slowly");
  } else if (facts.append_fsync == "no") {
    advice.push_back(
        "a crash of its machine loses the jobs that were accepted in the last half minute (appendfsync no); set "
        "appendfsync everysec or always");
  }
}

void AdviseOnReplicas(const RedisFacts& facts, std::uint32_t wait_replicas, std::vector<std::string>& advice) {
  if (facts.is_replica && *facts.is_replica) {
    advice.push_back("it is a replica, which takes no jobs: name the master, the Sentinels or the cluster in the URL");
    return;
  }
  if (!facts.replicas) return;
  if (*facts.replicas < wait_replicas) {
    advice.push_back(fmt::format("it has {} replicas, and submits wait for {} (redis.wait_replicas): all are refused",
                                 *facts.replicas, wait_replicas));
  } else if (facts.in_cluster && *facts.replicas == 0) {
    advice.push_back("it has no replica: while it is gone its part of the queue is, too");
  } else if (*facts.replicas > 0 && wait_replicas == 0) {
    advice.push_back(
        "when a replica takes over, the jobs that were accepted in the last moment may be lost; set "
        "redis.wait_replicas to 1 to acknowledge only what a replica has");
  }
}

}  // namespace

std::vector<std::string> RedisCheckup::Advise(const RedisFacts& facts, std::uint32_t wait_replicas) {
  std::vector<std::string> advice;
  AdviseOnMemory(facts, advice);
  AdviseOnDisk(facts, advice);
  AdviseOnReplicas(facts, wait_replicas, advice);
  const std::string who = facts.server.empty() ? "Redis" : "Redis at " + facts.server;
  for (std::string& one : advice) one = fmt::format("{}: {}", who, one);
  return advice;
}

void RedisCheckup::ReadInfo(std::string_view text, RedisFacts& facts) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t colon = line.find(':');
    if (colon == line.npos) continue;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = line.substr(colon + 1);
    if (name == "maxmemory") facts.maxmemory = ToNumber(value);
    if (name == "maxmemory_policy") facts.eviction = std::string(value);
    if (name == "aof_enabled") facts.append_only = value == "1";
    if (name == "role") facts.is_replica = value == "slave";
    if (name == "connected_slaves") facts.replicas = ToNumber(value);
    const bool saves =
        name == "rdb_last_bgsave_status" || name == "aof_last_write_status" || name == "aof_last_bgrewrite_status";
    if (saves && value == "err") facts.cannot_save = true;
  }
}

aio::Task<Result<std::vector<std::string>>> RedisCheckup::Run(redis::Client& client, std::uint32_t wait_replicas,
                                                              SteadyTime deadline) {
  // "" for the only one.
  std::map<std::string, std::string> keys;
  Command topology{"CLUSTER", "SLOTS"};
  const redis::Client::Options options{.deadline = deadline, .repeat = redis::Repeat::kAllowed};
  const auto slots = co_await client.Call("", std::move(topology), options);
  const bool in_cluster = slots.has_value();  // an error reply of any other server
  if (in_cluster) {
    const auto ranges = redis::ParseClusterSlots(*slots, {.host = "the cluster", .port = 0, .path = {}});
    if (!ranges) co_return std::unexpected(ranges.error());
    for (const redis::SlotRange& range : *ranges) {
      keys.try_emplace(range.master.Text(), KeyIn(range.first, range.last));
    }
  } else {
    keys.emplace("", "");
  }
  std::vector<std::string> all;
  for (const auto& [server, key] : keys) {
    const auto facts = co_await Ask(client, key, server, in_cluster, deadline);
    if (!facts) co_return std::unexpected(facts.error());
    for (std::string& one : Advise(*facts, wait_replicas)) all.push_back(std::move(one));
  }
  co_return all;
}

}  // namespace lazaret::fleet
