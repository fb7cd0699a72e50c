#include "redis/error_reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "redis/slot.h"

namespace lazaret::redis {
namespace {

constexpr std::string_view kPrefix = "Redis: ";
constexpr std::size_t kMostShown = 300;

constexpr std::pair<std::string_view, Errc> kMeanings[] = {
    {"ASK", Errc::kUnavailable},         {"BUSY", Errc::kUnavailable},      {"BUSYGROUP", Errc::kMalformed},
    {"CLUSTERDOWN", Errc::kUnavailable}, {"LOADING", Errc::kUnavailable},   {"MASTERDOWN", Errc::kUnavailable},
    {"MISCONF", Errc::kUnavailable},     {"MOVED", Errc::kUnavailable},     {"NOAUTH", Errc::kUnavailable},
    {"NOGROUP", Errc::kNotFound},        {"NOPERM", Errc::kUnavailable},    {"NOREPLICAS", Errc::kUnavailable},
    {"NOSCRIPT", Errc::kNotFound},       {"OOM", Errc::kOverloaded},        {"READONLY", Errc::kUnavailable},
    {"TRYAGAIN", Errc::kUnavailable},    {"UNBLOCKED", Errc::kUnavailable}, {"UNKILLABLE", Errc::kUnavailable},
    {"WRONGPASS", Errc::kUnavailable},   {"WRONGTYPE", Errc::kCorrupt},     {"IOERR", Errc::kUnavailable},
};

template <class Number>
bool ReadNumber(std::string_view text, Number& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string_view ErrorWord(const Reply& reply) {
  if (!reply.IsError()) return {};
  const std::string_view text = reply.text();
  return text.substr(0, text.find(' '));
}

Error ErrorOf(const Reply& reply) {
  const std::string_view word = ErrorWord(reply);
  const auto known = std::ranges::find(kMeanings, word, &std::pair<std::string_view, Errc>::first);
  std::string_view text = reply.text();
  text = text.substr(0, text.find(", with args beginning with"));
  text = text.substr(0, kMostShown);
  return Error{known == std::end(kMeanings) ? Errc::kInternal : known->second, fmt::format("{}{}", kPrefix, text)};
}

bool HasErrorWord(const Error& error, std::string_view word) {
  std::string_view what = error.what;
  if (!what.starts_with(kPrefix)) return false;
  what.remove_prefix(kPrefix.size());
  return what.substr(0, what.find(' ')) == word;
}

// "MOVED 3999 127.0.0.1:6381"; the address may be of IPv6: "::1:6381".
std::optional<Redirection> ParseRedirection(const Reply& reply) {
  const std::string_view word = ErrorWord(reply);
  if (word != "MOVED" && word != "ASK") return std::nullopt;
  const std::string_view rest = std::string_view(reply.text()).substr(std::min(word.size() + 1, reply.text().size()));
  const std::size_t space = rest.find(' ');
  const std::size_t colon = rest.rfind(':');
  if (space == rest.npos || colon == rest.npos || colon < space) return std::nullopt;
  Redirection found{
      .ask = word == "ASK", .slot = 0, .host = std::string(rest.substr(space + 1, colon - space - 1)), .port = 0};
  if (!ReadNumber(rest.substr(0, space), found.slot) || found.slot >= kSlots) return std::nullopt;
  if (!ReadNumber(rest.substr(colon + 1), found.port) || found.port == 0) return std::nullopt;
  return found;
}

}  // namespace lazaret::redis
