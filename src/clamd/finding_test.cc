#include "clamd/finding.h"

#include <gtest/gtest.h>

#include "core/verdict_samples.h"

namespace lazaret::clamd {
namespace {

const wire::ClamdAnswer kAnswer(0, '\n');

std::string ReplyTo(const Verdict& verdict, UnscannableAs as = UnscannableAs::kError, bool all = false) {
  return Finding::Of(verdict, as).Reply(kAnswer, "x", all);
}

TEST(Finding, TellsCleanAndInfected) {
  const FakeClock clock;
  EXPECT_EQ(ReplyTo(*SampleClean(clock)), "x: OK\n");
  EXPECT_EQ(ReplyTo(*SampleInfected(clock, "A")), "x: A FOUND\n");
  const Verdict two = Verdict::Infected(SampleRecord(clock), {"A", "B"});
  EXPECT_EQ(ReplyTo(two), "x: A FOUND\n");
  EXPECT_EQ(ReplyTo(two, UnscannableAs::kError, true), "x: A FOUND\nx: B FOUND\n");
}

TEST(Finding, NeverTakesUnscannableForClean) {
  const FakeClock clock;
  for (int n = 1; n <= static_cast<int>(Reason::kOverridden); ++n) {
    const auto reason = static_cast<Reason>(n);
    for (const std::string detail : {"", "Heuristics.Limits.Exceeded.MaxFiles", "x: OK\nx", " OK"}) {
      const Verdict verdict = Verdict::Unscannable(SampleRecord(clock), reason, detail);
      const std::string error = ReplyTo(verdict);
      EXPECT_TRUE(error.ends_with(" ERROR\n")) << error;
      EXPECT_EQ(error.find('\n'), error.size() - 1);
      const std::string found = ReplyTo(verdict, UnscannableAs::kFound);
      EXPECT_TRUE(found.ends_with(" ERROR\n") || found.ends_with(" FOUND\n")) << found;
      EXPECT_EQ(found.find('\n'), found.size() - 1);
    }
  }
}

TEST(Finding, NamesTheHeuristicWhenAsked) {
  const FakeClock clock;
  const auto found = [&](Reason reason, std::string detail) {
    return ReplyTo(Verdict::Unscannable(SampleRecord(clock), reason, std::move(detail)), UnscannableAs::kFound);
  };
  EXPECT_EQ(found(Reason::kLimitExceeded, "Heuristics.Limits.Exceeded.MaxFiles"),
            "x: Heuristics.Limits.Exceeded.MaxFiles FOUND\n");
  EXPECT_EQ(found(Reason::kLimitExceeded, "too large"), "x: Heuristics.Limits.Exceeded FOUND\n");
  EXPECT_EQ(found(Reason::kLimitExceeded, "Heuristics.x OK"), "x: Heuristics.Limits.Exceeded FOUND\n");
  EXPECT_EQ(found(Reason::kEncrypted, "Heuristics.Encrypted.Zip"), "x: Heuristics.Encrypted.Zip FOUND\n");
  EXPECT_EQ(found(Reason::kEncrypted, "encrypted member of CL_TYPE_ZIP"), "x: Heuristics.Encrypted FOUND\n");
  EXPECT_EQ(found(Reason::kTimeout, ""), "x: Heuristics.Limits.Exceeded.MaxScanTime FOUND\n");
  EXPECT_EQ(found(Reason::kUnsupported, "rar"), "x: Heuristics.Unsupported FOUND\n");
  EXPECT_EQ(found(Reason::kEngineCrashed, "signal 11"), "x: Unscannable, engine-crashed (signal 11) ERROR\n")
      << "a client may delete what is FOUND";
}

TEST(Finding, TellsErrors) {
  for (const Errc code : {Errc::kMalformed, Errc::kTooLarge, Errc::kNotFound, Errc::kTimeout, Errc::kOverloaded,
                          Errc::kUnavailable, Errc::kCancelled, Errc::kDisconnected, Errc::kCorrupt, Errc::kInternal}) {
    const Finding finding = Finding::Of(Error{code, "why: OK"});
    EXPECT_EQ(finding.kind(), Finding::Kind::kError);
    EXPECT_TRUE(finding.Reply(kAnswer, "x").ends_with(" ERROR\n"));
  }
  EXPECT_EQ(Finding::Of(Error{Errc::kTimeout, "y"}).Reply(kAnswer, "x"), "x: Time limit reached ERROR\n");
  EXPECT_EQ(Finding::Of(Error{Errc::kUnavailable, "no signatures: none"}).Reply(kAnswer, "x"),
            "x: Not scanned, no signatures; none ERROR\n");
  EXPECT_EQ(Finding::Failed("Access denied.").Reply(kAnswer, "x", true), "x: Access denied. ERROR\n");
}

}  // namespace
}  // namespace lazaret::clamd
