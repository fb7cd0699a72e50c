#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/content.h"
#include "core/engine.h"
#include "core/verdict_cache.h"

// What stands in for the parts around the service in its tests.
namespace lazaret {

inline Digest DigestOf(std::string_view text) { return Sha256::Of(AsBytes(text)); }

inline EngineInfoPtr MakeEngineInfo(std::string_view set) {
  return std::make_shared<const EngineInfo>(EngineInfo{.signature_set = DigestOf(set),
                                                       .profile = DigestOf("profile"),
                                                       .name = "Test",
                                                       .version = "1",
                                                       .signature_label = std::string(set),
                                                       .built_at = {},
                                                       .databases = {},
                                                       .isolation = {}});
}

class TextContent final : public Content {
 public:
  explicit TextContent(std::string text) : text_(std::move(text)), digest_(DigestOf(text_)) {}
  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return text_.size(); }
  Result<int> Descriptor() override { return Fail(Errc::kInternal, "no descriptor here"); }

 private:
  std::string text_;
  Digest digest_;
};

// An engine whose scans end when the test says so.
class HeldEngine final : public Engine {
 public:
  explicit HeldEngine(std::size_t slots_at_once = 1) : slots(slots_at_once) {}

  EngineInfoPtr Current() const override { return info; }
  std::string NotReadyReason() const override { return "not ready"; }
  std::size_t Slots() const override { return slots; }
  bool EndsCancelledScans() const override { return ends_cancelled_scans; }
  bool IsPaused() const override { return paused; }

  aio::Task<Result<Verdict>> Scan(ContentPtr content, SteadyTime deadline) override {
    started.push_back(content->digest());
    deadlines.push_back(deadline);
    if (throws) throw std::runtime_error("as told");
    struct Ending {
      int& running;
      ~Ending() { --running; }
    } ending{++running};
    while (!released || held.contains(content->digest())) {
      boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor, milliseconds(1));
      co_await pause.async_wait(boost::asio::use_awaitable);
    }
    if (failure) co_return std::unexpected(*failure);
    const ScanRecord record{info, content->size(), WallTime{}, 1.5};
    if (reason != Reason::kNone && started.size() <= failing_scans) {
      co_return Verdict::Unscannable(record, reason, "as told");
    }
    co_return Verdict::Clean(record);
  }

  EngineInfoPtr info = MakeEngineInfo("set 1");
  std::size_t slots;
  bool ends_cancelled_scans = true;
  bool paused = false;
  bool released = true;
  std::set<Digest> held;  // these are not, whatever `released` is
  std::optional<Error> failure;
  Reason reason = Reason::kNone;         // why contents are unscannable,
  std::size_t failing_scans = SIZE_MAX;  // in so many first scans
  bool throws = false;
  std::vector<Digest> started;
  std::vector<SteadyTime> deadlines;  // theirs
  int running = 0;
};

class MapCache final : public VerdictCache {
 public:
  VerdictPtr Peek(const Digest& digest) override {
    const auto entry = entries.find(digest);
    return entry == entries.end() ? nullptr : entry->second;
  }
  aio::Task<Result<VerdictPtr>> Find(Digest digest) override {
    if (failure) co_return std::unexpected(*failure);
    co_return Peek(digest);
  }
  aio::Task<Result<void>> Store(Digest digest, VerdictPtr verdict) override {
    if (failure) co_return std::unexpected(*failure);
    while (held) {
      boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor, milliseconds(1));
      co_await pause.async_wait(boost::asio::use_awaitable);
    }
    entries[digest] = std::move(verdict);
    co_return Result<void>();
  }
  std::map<Digest, VerdictPtr> entries;
  std::optional<Error> failure;
  bool held = false;
};

}  // namespace lazaret
