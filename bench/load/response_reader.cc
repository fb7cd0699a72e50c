#include "load/response_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace lazaret::bench {
namespace {

constexpr std::size_t kMaxHead = 64 * 1024;
constexpr std::string_view kVersion = "HTTP/1.1 ";

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool SameWord(std::string_view one, std::string_view lower_case) {
  return std::ranges::equal(one, lower_case, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

template <class T>
bool ParseNumber(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

bool ResponseReader::Feed(std::string_view bytes) {
  received_ += bytes;
  return !malformed_ && (head_size_ != 0 || ReadHead());
}

std::optional<Response> ResponseReader::Take() {
  if (malformed_ || head_size_ == 0 || received_.size() < head_size_ + body_size_) return std::nullopt;
  next_.body.assign(received_, head_size_, body_size_);
  received_.erase(0, head_size_ + body_size_);
  head_size_ = 0;
  body_size_ = 0;
  Response taken = std::exchange(next_, {});
  ReadHead();
  return taken;
}

// True also when the head is not complete yet.
bool ResponseReader::ReadHead() {
  const std::size_t end = received_.find("\r\n\r\n");
  if (end == std::string::npos) {
    malformed_ = received_.size() > kMaxHead;
    return !malformed_;
  }
  std::string_view head(received_.data(), end);
  malformed_ = true;
  if (!head.starts_with(kVersion) || head.size() < kVersion.size() + 3) return false;
  if (!ParseNumber(head.substr(kVersion.size(), 3), next_.status) || next_.status < 100) return false;
  bool sized = next_.status < 200 || next_.status == 204 || next_.status == 304;
  for (std::size_t line_end = head.find("\r\n"); line_end != head.npos; line_end = head.find("\r\n")) {
    head.remove_prefix(line_end + 2);
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const std::size_t colon = line.find(':');
    if (colon == line.npos) return false;
    const std::string_view name = line.substr(0, colon), value = Trim(line.substr(colon + 1));
    if (SameWord(name, "content-length")) {
      if (!ParseNumber(value, body_size_)) return false;
      sized = true;
    } else if (SameWord(name, "connection") && SameWord(value, "close")) {
      next_.closes = true;
    }
  }
  if (!sized) return false;
  head_size_ = end + 4;
  malformed_ = false;
  return true;
}

}  // namespace lazaret::bench
