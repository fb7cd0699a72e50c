#include "clamav/signature_loader.h"

#include <gtest/gtest.h>

namespace lazaret::clamav {
namespace {

using Eicar = ComparisonSettings::Eicar;

LoadedSet Candidate(std::uint64_t signatures, bool finds_eicar = true, std::vector<std::string> errors = {}) {
  const Digest digest = Sha256::Of(AsBytes("set"));
  auto engine = std::make_shared<const EngineInfo>(
      EngineInfo{.signature_set = digest,
                 .profile = digest,
                 .name = "ClamAV",
                 .version = "1.4.6",
                 .signature_label = "label",
                 .built_at = {},
                 .signatures = signatures,
                 .databases = {},
                 .isolation = {}});
  ProbeReport probe;
  probe.finds_eicar = finds_eicar;
  return {nullptr, engine, {"/", digest, 1, 1, false}, probe, std::move(errors), {}, 1};
}

std::optional<RefusalKind> Fault(const LoadedSet& candidate, std::optional<SetMeasure> current,
                                 ComparisonSettings settings = {}) {
  const auto refusal = FindFault(candidate, current, settings);
  if (!refusal) return std::nullopt;
  EXPECT_FALSE(refusal->reason.empty());
  return refusal->kind;
}

constexpr SetMeasure kCurrent{.signatures = 1001, .finds_eicar = true, .has_load_errors = false};

TEST(SetComparison, TakesWhatIsLikeTheSetInUse) {
  EXPECT_EQ(Fault(Candidate(1000), kCurrent), std::nullopt);
  EXPECT_EQ(Fault(Candidate(1), std::nullopt), std::nullopt) << "there is nothing to compare with";
}

TEST(SetComparison, RefusesASetThatIsMuchSmaller) {
  EXPECT_EQ(Fault(Candidate(501), kCurrent), std::nullopt);
  EXPECT_EQ(Fault(Candidate(500), kCurrent), RefusalKind::kTooSmall);
  EXPECT_EQ(Fault(Candidate(1), kCurrent, {.least_percent = 0}), std::nullopt);
  EXPECT_EQ(Fault(Candidate(1000), kCurrent, {.least_percent = 100}), RefusalKind::kTooSmall);
}

TEST(SetComparison, RefusesASetThatHasLostEicar) {
  EXPECT_EQ(Fault(Candidate(1001, false), kCurrent), RefusalKind::kMissesSample);
  EXPECT_EQ(Fault(Candidate(1001, false), kCurrent, {.eicar = Eicar::kIgnored}), std::nullopt);
  SetMeasure without = kCurrent;
  without.finds_eicar = false;
  EXPECT_EQ(Fault(Candidate(1001, false), without), std::nullopt);
  EXPECT_EQ(Fault(Candidate(1001, false), without, {.eicar = Eicar::kRequired}), RefusalKind::kMissesSample);
  EXPECT_EQ(Fault(Candidate(1001, false), std::nullopt, {.eicar = Eicar::kRequired}), RefusalKind::kMissesSample);
}

TEST(SetComparison, RefusesNewLoadErrors) {
  EXPECT_EQ(Fault(Candidate(1001, true, {"bad rule"}), kCurrent), RefusalKind::kLoadErrors);
  EXPECT_EQ(Fault(Candidate(1001, true, {"bad rule"}), kCurrent, {.refuse_load_errors = false}), std::nullopt);
  SetMeasure had = kCurrent;
  had.has_load_errors = true;
  EXPECT_EQ(Fault(Candidate(1001, true, {"bad rule"}), had), std::nullopt);
}

}  // namespace
}  // namespace lazaret::clamav
