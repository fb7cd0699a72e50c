#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "aio/deadline.h"
#include "core/engine.h"
#include "core/verdict_samples.h"
#include "embedded/memory_verdict_cache.h"
#include "fleet/scan_claims.h"
#include "fleet/verdict_cache.h"
#include "integration/redis_fixture.h"
#include "integration/redis_process.h"
#include "service/scan_service.h"

namespace lazaret::tests {

// A clock that runs but shows another time than the wall.
class SkewedClock final : public Clock {
 public:
  explicit SkewedClock(milliseconds ahead = milliseconds(0)) : ahead_(ahead) {}
  WallTime Now() const override { return SystemClock().Now() + ahead_; }
  SteadyTime SteadyNow() const override { return std::chrono::steady_clock::now(); }

 private:
  const milliseconds ahead_;
};

inline EngineInfoPtr EngineBuiltAt(std::optional<WallTime> built_at, std::string_view set) {
  EngineInfo info = SampleEngine();
  info.signature_set = Sha256::Of(AsBytes(set));
  info.signature_label = set;
  info.built_at = built_at;
  return std::make_shared<const EngineInfo>(info);
}

class SampleContent final : public Content {
 public:
  explicit SampleContent(std::string text) : text_(std::move(text)), digest_(Sha256::Of(AsBytes(text_))) {}
  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return text_.size(); }
  Result<int> Descriptor() override { return Fail(Errc::kInternal, "no descriptor here"); }

 private:
  const std::string text_;
  const Digest digest_;
};

// Finds nothing in anything, as soon as it is released. Thread-safe.
class WaitingEngine final : public Engine {
 public:
  WaitingEngine(EngineInfoPtr info, const Clock& clock) : clock_(clock), info_(std::move(info)) {}

  EngineInfoPtr Current() const override {
    std::lock_guard lock(mutex_);
    return info_;
  }
  void Load(EngineInfoPtr info) {
    std::lock_guard lock(mutex_);
    info_ = std::move(info);
  }
  std::string NotReadyReason() const override { return "not ready"; }
  std::size_t Slots() const override { return 1; }
  bool EndsCancelledScans() const override { return true; }
  aio::Task<Result<Verdict>> Scan(ContentPtr content, SteadyTime) override {
    ++scans;
    while (!released) co_await aio::SleepUntil(In(milliseconds(1)));
    co_return Verdict::Clean({Current(), content->size(), clock_.Now(), 1.5});
  }

  std::atomic<bool> released = true;
  std::atomic<int> scans = 0;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  EngineInfoPtr info_;
};

// Counts the Stores that have ended, well or not.
class CountedCache final : public VerdictCache {
 public:
  explicit CountedCache(VerdictCache& behind) : behind_(behind) {}
  aio::Task<Result<VerdictPtr>> Find(Digest digest) override { return behind_.Find(digest); }
  aio::Task<Result<void>> Store(Digest digest, VerdictPtr verdict) override {
    const struct Ending {
      std::atomic<int>& count;
      ~Ending() { ++count; }
    } ending{stored};
    co_return co_await behind_.Store(digest, std::move(verdict));
  }

  std::atomic<int> stored = 0;

 private:
  VerdictCache& behind_;
};

// What one node of a fleet has, on a thread of its own: a scan service with memory and Redis behind it.
class FleetNode {
 public:
  struct Options {
    milliseconds clock_ahead{0};
    milliseconds lease{5000};
    std::size_t memory_entries = 1000;
  };

  FleetNode(const std::string& url, EngineInfoPtr info) : FleetNode(url, std::move(info), Options()) {}
  FleetNode(const std::string& url, EngineInfoPtr info, Options options)
      : clock_(options.clock_ahead),
        client_(url),
        engine_(std::move(info), clock_),
        redis_(*client_, clock_, {}),
        memory_(clock_, {}, options.memory_entries, &counted_, {}, embedded::Backing::kShared),
        claims_(*client_, client_.io().executor(), {.lease = options.lease}, clock_, log_),
        service_({.sharing = CacheSharing::kFleet}, engine_, memory_, board_, client_.io().executor(), clock_, log_,
                 telemetry_, &claims_) {}
  ~FleetNode() {
    engine_.released = true;
    client_.Run(End());
  }

  // As a front door does it.
  std::future<Result<Answer>> Submit(std::string text, SteadyTime deadline = Soon()) {
    return client_.io().Spawn(LookUpOrScan(std::make_shared<SampleContent>(std::move(text)), deadline));
  }
  // The same, and until the verdict is where the other nodes find it: an answer comes before that (decision 0006).
  Result<Answer> Scan(const std::string& text) {
    const int before = counted_.stored;
    auto answer = Submit(text).get();
    if (answer && !answer->cached && !Eventually([&] { return counted_.stored > before; })) {
      return Fail(Errc::kInternal, "the verdict was not stored");
    }
    return answer;
  }
  VerdictPtr FindFresh(const std::string& text) {
    const auto known = client_.Run(service_.FindFresh(Sha256::Of(AsBytes(text))));
    return known ? known->verdict : nullptr;
  }

  int stored() const { return counted_.stored; }
  WaitingEngine& engine() { return engine_; }
  ScanService& service() { return service_; }
  VerdictCache& cache() { return memory_; }
  const redis::Counters& counters() const { return client_.counters(); }
  RunningClient& client() { return client_; }

 private:
  aio::Task<Result<Answer>> LookUpOrScan(ContentPtr content, SteadyTime deadline) {
    if (auto known = co_await service_.FindKnown(content)) co_return *std::move(known);
    co_return co_await service_.Scan(content, deadline);
  }
  aio::Task<bool> End() {
    co_await service_.Drain(Soon());
    co_await claims_.Stop();
    co_return true;
  }

  const SkewedClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  Telemetry telemetry_;
  DoneBoard board_;
  RunningClient client_;
  WaitingEngine engine_;
  fleet::RedisVerdictCache redis_;
  CountedCache counted_{redis_};
  embedded::MemoryVerdictCache memory_;
  fleet::RedisScanClaims claims_;
  ScanService service_;
};

}  // namespace lazaret::tests
