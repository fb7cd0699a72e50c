#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "service/rescans.h"
#include "service/scan_service.h"
#include "service/test_doubles.h"

namespace lazaret {
namespace {

namespace asio = boost::asio;
using testing::ElementsAre;
using testing::IsEmpty;

class SizedContent final : public Content {
 public:
  SizedContent(const std::string& text, std::uint64_t size) : digest_(DigestOf(text)), size_(size) {}
  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return size_; }
  Result<int> Descriptor() override { return Fail(Errc::kInternal, "no descriptor here"); }

 private:
  const Digest digest_;
  const std::uint64_t size_;
};

class CountingTelemetry final : public Telemetry {
 public:
  void OnStaleServed() override { ++served; }
  void OnRescanned(VerdictKind kind) override { rescanned.push_back(kind); }
  int served = 0;
  std::vector<VerdictKind> rescanned;
};

// What becomes of verdicts of earlier signatures.
class StaleTest : public testing::Test {
 protected:
  ~StaleTest() override {
    engine_.released = true;
    if (service_) Run(service_->Drain(std::chrono::steady_clock::now()));
  }
  ScanService& service() {
    if (!service_) {
      service_.emplace(settings_, engine_, cache_, board_, io_.get_executor(), clock_, log_, telemetry_);
    }
    return *service_;
  }
  void Turn() {
    io_.restart();
    io_.run_for(milliseconds(10));
  }
  template <class T>
  T Run(aio::Task<T> task) {
    auto future = asio::co_spawn(io_, std::move(task), asio::use_future);
    while (future.wait_for(seconds(0)) != std::future_status::ready) Turn();
    return future.get();
  }
  bool Becomes(const std::function<bool()>& condition) {
    for (int i = 0; i < 500 && !condition(); ++i) Turn();
    return condition();
  }
  // In the cache, made some time ago with other signatures than those in use.
  void Remember(const std::string& text, VerdictKind kind = VerdictKind::kClean, milliseconds ago = milliseconds(0),
                EngineInfoPtr by = MakeEngineInfo("set 0")) {
    const ScanRecord record{std::move(by), text.size(), clock_.Now() - ago, 1};
    const Verdict verdict = kind == VerdictKind::kClean      ? Verdict::Clean(record)
                            : kind == VerdictKind::kInfected ? Verdict::Infected(record, {"Found"})
                                                             : Verdict::Unscannable(record, Reason::kEncrypted, "");
    cache_.entries[DigestOf(text)] = std::make_shared<const Verdict>(verdict);
  }
  std::optional<Answer> Known(const std::string& text) {
    return Run(service().FindKnown(std::make_shared<TextContent>(text)));
  }
  bool IsServed(const std::string& text) { return Known(text).has_value(); }

  asio::io_context io_;
  FakeClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  CountingTelemetry telemetry_;
  HeldEngine engine_;
  MapCache cache_;
  DoneBoard board_;
  ScanServiceSettings settings_{.stale = StalePolicy::kServeAndRescan};
  std::optional<ScanService> service_;
};

TEST_F(StaleTest, NothingStaleIsServedUnlessItIsWanted) {
  settings_.stale = StalePolicy::kStrict;
  Remember("a");
  EXPECT_FALSE(IsServed("a"));
  Turn();
  EXPECT_THAT(engine_.started, IsEmpty());
}

TEST_F(StaleTest, ACleanVerdictIsServedAndTheContentScannedAgain) {
  Remember("a");
  const auto first = Known("a");
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->cached);
  EXPECT_FALSE(first->fresh);
  EXPECT_EQ(first->kind(), VerdictKind::kClean);
  ASSERT_TRUE(Becomes([&] { return !telemetry_.rescanned.empty(); }));
  EXPECT_THAT(engine_.started, ElementsAre(DigestOf("a")));
  ASSERT_TRUE(Becomes([&] { return Known("a")->fresh; }));
  EXPECT_EQ(engine_.started.size(), 1u);
  EXPECT_EQ(telemetry_.served, 1);
}

TEST_F(StaleTest, ItIsScannedAgainOnceHoweverManyAskMeanwhile) {
  engine_.released = false;
  Remember("a");
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(IsServed("a"));
  EXPECT_EQ(telemetry_.served, 5);
  EXPECT_THAT(engine_.started, ElementsAre(DigestOf("a")));
  engine_.released = true;
  ASSERT_TRUE(Becomes([&] { return telemetry_.rescanned.size() == 1; }));
}

TEST_F(StaleTest, WhatIsNotCleanIsScannedWhileItsClientWaits) {
  Remember("a", VerdictKind::kInfected);
  Remember("b", VerdictKind::kUnscannable);
  EXPECT_FALSE(IsServed("a"));
  EXPECT_FALSE(IsServed("b"));
}

TEST_F(StaleTest, ALookUpAloneIsNeverAnsweredByIt) {
  Remember("a");
  EXPECT_FALSE(Run(service().FindFresh(DigestOf("a"))));
  Turn();
  EXPECT_THAT(engine_.started, IsEmpty());
}

TEST_F(StaleTest, OnlyTheSignaturesMayDiffer) {
  EngineInfo other = *MakeEngineInfo("set 0");
  other.profile = DigestOf("another profile");
  Remember("a", VerdictKind::kClean, milliseconds(0), std::make_shared<const EngineInfo>(other));
  EXPECT_FALSE(IsServed("a"));
  engine_.info = nullptr;
  Remember("b");
  EXPECT_FALSE(IsServed("b")) << "nobody could scan it again";
}

TEST_F(StaleTest, ItMayBeAsOldAsIsConfigured) {
  Remember("a", VerdictKind::kClean, settings_.stale_age);
  Remember("b", VerdictKind::kClean, settings_.stale_age + milliseconds(1));
  EXPECT_TRUE(IsServed("a"));
  EXPECT_FALSE(IsServed("b"));
}

TEST_F(StaleTest, WhatCannotBeScannedAgainSoonIsNotServed) {
  engine_.released = false;
  Remember("large");
  Remember("small");
  const auto serve = [&](const std::string& text, std::uint64_t size) {
    return Run(service().FindKnown(std::make_shared<SizedContent>(text, size))).has_value();
  };
  EXPECT_FALSE(serve("large", Rescans::kMostBytes + 1));
  EXPECT_TRUE(serve("large", Rescans::kMostBytes));
  EXPECT_FALSE(serve("small", 1));
  engine_.released = true;
  ASSERT_TRUE(Becomes([&] { return telemetry_.rescanned.size() == 1; }));
  EXPECT_TRUE(serve("small", 1));
}

TEST(Rescans, AreBoundedInNumberAndBytes) {
  using Admission = Rescans::Admission;
  Rescans rescans;
  for (std::size_t i = 0; i < Rescans::kMost; ++i) {
    ASSERT_EQ(rescans.Admit(DigestOf(std::to_string(i)), 1), Admission::kNew);
  }
  EXPECT_EQ(rescans.Admit(DigestOf("more"), 0), Admission::kFull);
  EXPECT_EQ(rescans.Admit(DigestOf("7"), 1), Admission::kUnderWay);
  rescans.Over(DigestOf("7"));
  EXPECT_EQ(rescans.Admit(DigestOf("more"), 0), Admission::kNew);
  for (std::size_t i = 0; i < Rescans::kMost; ++i) rescans.Over(DigestOf(std::to_string(i)));
  EXPECT_EQ(rescans.Admit(DigestOf("large"), Rescans::kMostBytes), Admission::kNew);
  EXPECT_EQ(rescans.Admit(DigestOf("byte"), 1), Admission::kFull);
}

}  // namespace
}  // namespace lazaret
