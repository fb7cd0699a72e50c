#include "fleet/content_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace lazaret::fleet {
namespace {

constexpr std::size_t kMaxName = 64;

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::string ContentPlace::Text() const {
  switch (kind) {
    case Kind::kNowhere: break;
    case Kind::kInline: return "i";
    case Kind::kChunks: return fmt::format("c:{}:{}", name, chunks);
    case Kind::kFile: return "f:" + name;
  }
  return "";
}

std::optional<ContentPlace> ContentPlace::Parse(std::string_view text) {
  if (text.empty()) return ContentPlace{};
  if (text == "i") return ContentPlace{.kind = Kind::kInline};
  ContentPlace place;
  const bool chunks = text.starts_with("c:");
  if (!chunks && !text.starts_with("f:")) return std::nullopt;
  std::string_view name = text.substr(2);
  if (chunks) {
    const std::size_t colon = name.find(':');
    if (colon == name.npos) return std::nullopt;
    const std::string_view count = name.substr(colon + 1);
    const auto [end, failed] = std::from_chars(count.data(), count.data() + count.size(), place.chunks);
    if (failed != std::errc() || end != count.data() + count.size()) return std::nullopt;
    if (place.chunks == 0 || place.chunks > kMaxChunks) return std::nullopt;
    name = name.substr(0, colon);
  }
  if (!IsName(name)) return std::nullopt;
  place.kind = chunks ? Kind::kChunks : Kind::kFile;
  place.name = name;
  return place.Text() == text ? std::optional(place) : std::nullopt;
}

}  // namespace lazaret::fleet
