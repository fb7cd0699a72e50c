#include "load/answer.h"

#include <fmt/format.h>

namespace lazaret::bench {
namespace {

// The value of a member that is a plain string. Names of findings and words hold no escapes; what a client sent as the
// name of its file, which could, comes behind and is not asked for.
std::optional<std::string_view> StringOf(std::string_view json, std::string_view key) {
  const std::size_t at = json.find(key);
  if (at == json.npos) return std::nullopt;
  const std::string_view rest = json.substr(at + key.size());
  const std::size_t end = rest.find('"');
  if (end == rest.npos) return std::nullopt;
  return rest.substr(0, end);
}

std::string NamesOf(std::string_view json) {
  constexpr std::string_view kKey = R"("signatures":[)";
  const std::size_t at = json.find(kKey);
  if (at == json.npos) return "";
  std::string names(json.substr(at + kKey.size(), json.find(']', at) - at - kKey.size()));
  std::erase(names, '"');
  return names;
}

}  // namespace

std::optional<Verdict> ReadVerdict(std::string_view json) {
  const auto word = StringOf(json, R"("verdict":")");
  if (!word) return std::nullopt;
  Verdict verdict{std::string(*word), ""};
  if (*word == "infected") {
    verdict.detail = NamesOf(json);
  } else if (*word == "unscannable") {
    verdict.detail = StringOf(json, R"("reason":")").value_or("");
  }
  return verdict;
}

std::string Defect(const Response& response, const Expectation& expected) {
  if (response.status != expected.status) return fmt::format("status {}", response.status);
  if (!expected.verdict) return "";
  const auto word = StringOf(response.body, R"("verdict":")");
  if (!word) return "no verdict";
  if (expected.word && *word != *expected.word) return fmt::format("verdict {}, not {}", *word, *expected.word);
  return "";
}

}  // namespace lazaret::bench
