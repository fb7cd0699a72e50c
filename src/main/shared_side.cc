#include "main/shared_side.h"

#include <unistd.h>

#include <array>
#include <functional>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "aio/task_group.h"
#include "base/exception.h"
#include "core/signature_age.h"
#include "fleet/fleet.h"
#include "fleet/load_turns.h"
#include "fleet/overrides.h"
#include "fleet/redis_checkup.h"
#include "fleet/redis_job_queue.h"
#include "fleet/scan_claims.h"
#include "fleet/verdict_cache.h"
#include "main/settings.h"
#include "redis/client.h"
#include "service/done_relay.h"

namespace lazaret {
namespace {

constexpr seconds kAskRedisAgain{5};

class RedisJobStore final : public JobStore {
 public:
  RedisJobStore(std::unique_ptr<fleet::RedisJobQueue> jobs, DoneBoard& board, aio::Executor executor, Log& log)
      : jobs_(std::move(jobs)), board_(board), relay_(*jobs_, board, std::move(executor), log) {
    jobs_->finished().Listen([this](const Digest& id) { relay_.Hear(id); });
    board_.TellOfSeats(
        [this](const Digest& id) { return std::make_shared<fleet::FinishedFeed::Watch>(jobs_->finished(), id); });
  }

  JobQueue& queue() override { return *jobs_; }
  Outbox& outbox() override { return *jobs_; }
  aio::Task<> Stop() override {
    board_.TellOfSeats({});
    co_await relay_.Stop();
    co_await jobs_->Stop();
  }

 private:
  const std::unique_ptr<fleet::RedisJobQueue> jobs_;
  DoneBoard& board_;
  DoneRelay relay_;
};

std::string NameOfNode(const config::Config& config) {
  if (!config.redis.node.empty()) return config.redis.node;
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "unnamed";
}

std::string RandomId() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

std::string_view ToString(config::Role role) {
  switch (role) {
    case config::Role::kAll: return "all";
    case config::Role::kApi: return "api";
    case config::Role::kWorker: break;
  }
  return "worker";
}

std::string TimeJson(const std::optional<WallTime>& time) { return time ? "\"" + FormatRfc3339(*time) + "\"" : "null"; }

std::string NodeJson(const fleet::Node& node, bool is_self, WallTime now) {
  const fleet::NodeRecord& record = node.record;
  std::string engine = "null";
  if (record.engine != nullptr) {
    const auto age = AgeOf(*record.engine, now);
    engine = fmt::format(
        R"({{"signature_set":"{}","signature_set_digest":"{}","signatures":{},"built_at":{},"loaded_at":{},"age_s":{}}})",
        EscapeJson(record.engine->signature_label), record.engine->signature_set.Hex(), record.engine->signatures,
        TimeJson(record.engine->built_at), TimeJson(record.engine->loaded_at),
        age ? std::to_string(std::chrono::floor<seconds>(*age).count()) : "null");
  }
  return fmt::format(
      R"({{"id":"{}","self":{},"host":"{}","role":"{}","version":"{}","takes_jobs":{},"slots":{},"silent_s":{:.3f},)"
      R"("engine":{}}})",
      EscapeJson(node.id), is_self, EscapeJson(record.host), EscapeJson(record.role), EscapeJson(record.version),
      record.takes_jobs, record.slots, static_cast<double>(node.silent.count()) / 1000, engine);
}

class RedisSide final : public SharedSide {
 public:
  RedisSide(const SharedParts& parts, redis::Url url, std::unique_ptr<redis::Client> client)
      : parts_(parts),
        url_(std::move(url)),
        id_(RandomId()),
        host_(NameOfNode(parts.config)),
        client_(std::move(client)),
        verdicts_(*client_, parts.clock, {.policy = MakeCachePolicy(parts.config)}),
        claims_(*client_, parts.executor, {.lease = parts.config.redis.claim}, parts.clock, parts.log),
        turns_(*client_, parts.executor, id_,
               {.lease = parts.config.redis.turn, .max_wait = parts.config.signatures.load_timeout}, parts.clock,
               parts.log),
        fleet_(
            *client_, parts.executor, id_, [this] { return Record(); }, {}, parts.clock, parts.log),
        tasks_(parts.executor, [&log = parts.log](std::exception_ptr error) {
          log.Error("looking at the settings of Redis failed", {{"error", WhatOf(error)}});
        }) {}

  VerdictCache& verdicts() override { return verdicts_; }
  ScanClaims& claims() override { return claims_; }
  const std::string& node() const override { return host_; }

  std::unique_ptr<OverrideStore> Overrides(OverrideBoard& board) override {
    return std::make_unique<fleet::RedisOverrides>(
        *client_, board,
        fleet::RedisOverrides::Settings{.max_entries = parts_.config.override.max_entries, .node = id_}, parts_.clock,
        parts_.log);
  }

  OpenJobStore Jobs(DoneBoard& board) override {
    return [this, &board]() -> aio::Task<Result<std::unique_ptr<JobStore>>> {
      auto opened =
          co_await fleet::RedisJobQueue::Open(MakeRedisQueueSettings(parts_.config, url_.mode, host_), *client_,
                                              parts_.disk, parts_.executor, parts_.clock, parts_.log);
      if (!opened) co_return std::unexpected(opened.error());
      co_return std::make_unique<RedisJobStore>(*std::move(opened), board, parts_.executor, parts_.log);
    };
  }

  EngineInfoPtr NewestEngine() const override { return fleet_.Engine(); }

  std::string Describe() const override {
    std::string nodes;
    for (const fleet::Node& node : fleet_.Nodes()) {
      nodes += (nodes.empty() ? "" : ",") + NodeJson(node, node.id == id_, parts_.clock.Now());
    }
    return fmt::format(R"({{"redis":"{}","connected":{},"role":"{}","node":"{}","nodes":[{}]}})",
                       EscapeJson(url_.Describe()), client_->is_up(), ToString(parts_.config.role), id_, nodes);
  }

  std::vector<metrics::NodeFigures> Nodes() const override {
    std::vector<metrics::NodeFigures> all;
    for (const fleet::Node& node : fleet_.Nodes()) {
      all.push_back({node.id, node.record.host, node.record.role, node.record.engine});
    }
    return all;
  }

  AskForTurn Turns() override {
    return [this](Digest, std::function<void(const std::string&)> on_wait) {
      return turns_.Ask([this, tell = std::move(on_wait)](const std::string& id) { tell(NameOf(id)); });
    };
  }

  void Start(const Engine& engine) override {
    engine_ = &engine;
    parts_.log.Info(
        "sharing verdicts and jobs",
        {{"redis", url_.Describe()}, {"role", ToString(parts_.config.role)}, {"node", id_}, {"host", host_}});
    fleet_.Start();
    tasks_.Spawn(Advise());
  }

  void StopTaking() override { takes_jobs_ = false; }

  aio::Task<> Stop() override {
    tasks_.Close();
    tasks_.CancelAll();
    co_await tasks_.Wait();
    co_await fleet_.Stop();
    co_await claims_.Stop();
    co_await turns_.Stop();
    co_await client_->Stop();
  }

 private:
  fleet::NodeRecord Record() const {
    const bool scans = parts_.config.EngineInUse() != config::EngineKind::kWorkers;
    return {.host = host_,
            .role = std::string(ToString(parts_.config.role)),
            .version = LAZARET_VERSION,
            .takes_jobs = takes_jobs_,
            .slots = scans ? static_cast<std::uint32_t>(engine_->Slots()) : 0,
            .engine = scans ? engine_->Current() : nullptr};
  }

  // "web2 (5f0c…)": what people call a node, if it was heard of.
  std::string NameOf(const std::string& id) const {
    for (const fleet::Node& node : fleet_.Nodes()) {
      if (node.id == id) return fmt::format("{} ({})", node.record.host, id);
    }
    return id;
  }

  // Says once, as soon as Redis answers, what in its settings loses jobs.
  aio::Task<> Advise() {
    for (;;) {
      const SteadyTime deadline = parts_.clock.SteadyNow() + kAskRedisAgain;
      const auto advice = co_await fleet::RedisCheckup::Run(
          *client_, static_cast<std::uint32_t>(parts_.config.redis.wait_replicas), deadline);
      if (advice) {
        for (const std::string& one : *advice) parts_.log.Warning("settings of Redis", {{"advice", one}});
        co_return;
      }
      co_await aio::SleepUntil(deadline);
    }
  }

  const SharedParts parts_;
  const redis::Url url_;
  const std::string id_;  // of this process
  const std::string host_;
  const std::unique_ptr<redis::Client> client_;
  fleet::RedisVerdictCache verdicts_;
  fleet::RedisScanClaims claims_;
  fleet::LoadTurns turns_;
  const Engine* engine_ = nullptr;
  bool takes_jobs_ = TakesJobs(parts_.config);
  fleet::Fleet fleet_;
  aio::TaskGroup tasks_;
};

}  // namespace

Result<std::unique_ptr<SharedSide>> SharedSide::Make(const SharedParts& parts) {
  auto url = redis::Url::Parse(parts.config.redis.url);
  if (!url) return std::unexpected(url.error());
  auto client = redis::Client::Make(parts.executor, *url, {}, parts.log);
  if (!client) return std::unexpected(client.error());
  return std::make_unique<RedisSide>(parts, *std::move(url), *std::move(client));
}

}  // namespace lazaret
