#include "scanner/logical_expression.h"

#include <clamav.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

// libclamav's own, or ours in front of it, once SkipUnmatchedExpressions has been called.
extern "C" int cli_ac_chklsig(const char* begin, const char* end, std::uint32_t* matches, unsigned* count,
                              std::uint64_t* ids, unsigned only_parse);

namespace lazaret::scanner {
namespace {

using Matches = std::array<std::uint32_t, 64>;

struct Evaluated {
  int result;
  unsigned count = 0;
  std::uint64_t ids = 0;
  friend bool operator==(const Evaluated&, const Evaluated&) = default;
};

Evaluated Evaluate(const std::string& expression, Matches matches, bool only_parse = false) {
  Evaluated done{};
  done.result = ::cli_ac_chklsig(expression.data(), expression.data() + expression.size(), matches.data(), &done.count,
                                 &done.ids, only_parse ? 1 : 0);
  return done;
}

class RandomExpressions {
 public:
  std::string Expression(int depth) {
    if (depth == 0 || Chance(3)) return std::to_string(Number(12)) + Modifier();
    const std::string text = "(" + Expression(depth - 1) + Operator() + Expression(depth - 1) + ")";
    return Chance(2) ? text + Modifier() : text + Operator() + Expression(depth - 1);
  }
  Matches Some(unsigned one_in) {
    Matches matches{};
    for (unsigned i = 0; i < 12; ++i) matches[i] = Chance(one_in) ? Number(4) : 0;
    return matches;
  }

 private:
  unsigned Number(unsigned below) { return static_cast<unsigned>(random_() % below); }
  bool Chance(unsigned one_in) { return Number(one_in) == 0; }
  std::string Operator() { return Chance(2) ? "&" : "|"; }
  std::string Modifier() {
    if (!Chance(3)) return "";
    std::string text(1, "<=>"[Number(3)]);
    text += std::to_string(Number(3));
    return Chance(2) ? text : text + "," + std::to_string(Number(3));
  }

  std::mt19937 random_{20261128};
};

TEST(LogicalExpression, IsSurelyUnmatchedOnlyWithoutAnyMatch) {
  for (const char* text : {"0", "63", "0&1", "0|1|2", "(0&1)|(2&3)", "0>1", "(0|1)>2,2&3", "(0|1|2)>1,2", ""}) {
    Matches none{};
    EXPECT_TRUE(IsSurelyUnmatched(text, none.data())) << text;
  }
  for (const char* text :
       {"0=0", "0<1", "(0|1)=0", "0&1=0", "(0&1)<2,1&3", "64", "99999999999999999999", "x", "0 & 1"}) {
    Matches none{};
    EXPECT_FALSE(IsSurelyUnmatched(text, none.data())) << text;
  }
  Matches last{};
  last[63] = 1;
  EXPECT_FALSE(IsSurelyUnmatched("0&63", last.data()));
  EXPECT_TRUE(IsSurelyUnmatched("0&62>63", last.data())) << "63 is no sub-signature there";
}

// Whatever libclamav would say: with ours in front of it the same comes out, and so it does for what is passed on.
TEST(LogicalExpression, SaysWhatLibclamavSays) {
  RandomExpressions random;
  unsigned valid = 0, truths = 0, skipped = 0;
  std::vector<std::pair<std::string, Matches>> cases;
  std::vector<Evaluated> answers;
  while (valid < 20'000) {
    const std::string text = random.Expression(3);
    if (Evaluate(text, {}, true).result < 0) continue;
    ++valid;
    for (const unsigned one_in : {1u, 3u, 1'000'000u}) {
      cases.emplace_back(text, random.Some(one_in));
      answers.push_back(Evaluate(text, cases.back().second));
      truths += answers.back().result == 1 ? 1 : 0;
      if (IsSurelyUnmatched(text, cases.back().second.data())) {
        ++skipped;
        EXPECT_EQ(answers.back(), (Evaluated{.result = 0})) << text;
      }
    }
  }
  EXPECT_GT(truths, valid / 4);
  EXPECT_GT(skipped, valid / 8);
  ASSERT_TRUE(SkipUnmatchedExpressions());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(Evaluate(cases[i].first, cases[i].second), answers[i]) << cases[i].first;
  }
}

}  // namespace
}  // namespace lazaret::scanner
