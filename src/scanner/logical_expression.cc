#include "scanner/logical_expression.h"

#include "scanner/interposition.h"

namespace lazaret::scanner {
namespace {

constexpr unsigned kSubSignatures = 64;

bool skipping = false;  // global, since libclamav calls the function below without an argument of ours

// cli_ac_chklsig of libclamav (libclamav/matcher-ac.c): 1 when the expression is true, 0 when it is not, -1 for an
// error. `count` and `ids` are changed only when it is true.
constinit Real<int(const char*, const char*, std::uint32_t*, unsigned*, std::uint64_t*, unsigned)> real_evaluate(
    "cli_ac_chklsig");

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool IsSurelyUnmatched(std::string_view expression, const std::uint32_t* matches) {
  const char* at = expression.data();
  const char* const end = at + expression.size();
  while (at != end) {
    if (IsDigit(*at)) {
      unsigned number = 0;
      do {
        number = number * 10 + static_cast<unsigned>(*at++ - '0');
      } while (number < kSubSignatures && at != end && IsDigit(*at));
      if (number >= kSubSignatures || matches[number] != 0) return false;
    } else if (*at == '>') {
      // "More than N, of at least M different ones": never true without a match. Its numbers name no sub-signature.
      do {
        ++at;
      } while (at != end && (IsDigit(*at) || *at == ','));
    } else if (*at == '&' || *at == '|' || *at == '(' || *at == ')') {
      ++at;
    } else {
      return false;
    }
  }
  return true;
}

bool SkipUnmatchedExpressions() { return skipping = real_evaluate.Resolve(); }

extern "C" {

int LazaretEvaluate(const char* begin, const char* end, std::uint32_t* matches, unsigned* count, std::uint64_t* ids,
                    unsigned only_parse) LAZARET_INTERPOSE("cli_ac_chklsig");
int LazaretEvaluate(const char* begin, const char* end, std::uint32_t* matches, unsigned* count, std::uint64_t* ids,
                    unsigned only_parse) {
  if (skipping && only_parse == 0 && IsSurelyUnmatched({begin, end}, matches)) return 0;
  return real_evaluate(begin, end, matches, count, ids, only_parse);
}

}  // extern "C"

}  // namespace lazaret::scanner
