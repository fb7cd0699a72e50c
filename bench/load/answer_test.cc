#include "load/answer.h"

#include <gtest/gtest.h>

namespace lazaret::bench {
namespace {

TEST(Answer, ReadsVerdictAndFindings) {
  EXPECT_EQ(ReadVerdict(R"({"id":"00","status":"done","verdict":"clean","signatures":[],"size":3})"),
            (Verdict{"clean", ""}));
  EXPECT_EQ(ReadVerdict(R"({"status":"done","verdict":"infected","signatures":["A.B-1","C"],"size":3})"),
            (Verdict{"infected", "A.B-1,C"}));
  EXPECT_EQ(ReadVerdict(R"({"status":"done","verdict":"unscannable","signatures":[],"reason":"encrypted"})"),
            (Verdict{"unscannable", "encrypted"}));
  EXPECT_EQ(ReadVerdict(R"({"status":"queued"})"), std::nullopt);
  EXPECT_EQ(ReadVerdict(R"({"verdict":"cle)"), std::nullopt);
}

TEST(Answer, DefectNamesWhatIsWrong) {
  const Response clean{200, false, R"({"status":"done","verdict":"clean"})"};
  const Response queued{202, false, R"({"status":"queued"})"};
  EXPECT_EQ(Defect(clean, {}), "");
  EXPECT_EQ(Defect(clean, {.word = "clean"}), "");
  EXPECT_EQ(Defect(clean, {.word = "infected"}), "verdict clean, not infected");
  EXPECT_EQ(Defect(clean, {.status = 202, .verdict = false}), "status 200");
  EXPECT_EQ(Defect(queued, {}), "status 202");
  EXPECT_EQ(Defect(queued, {.status = 202}), "no verdict");
  EXPECT_EQ(Defect(queued, {.status = 202, .verdict = false}), "");
}

}  // namespace
}  // namespace lazaret::bench
