#include "wire/digest_field.h"

#include <array>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include "wire/http_text.h"

namespace lazaret::wire {
namespace {

constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> kBase64Values = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < kBase64Digits.size(); ++i) {
    table[static_cast<unsigned char>(kBase64Digits[i])] = static_cast<std::int8_t>(i);
  }
  return table;
}();

std::unexpected<Error> Malformed(std::string what) { return Fail(Errc::kMalformed, std::move(what)); }

// Empty unless `text` is base64 (RFC 4648 4), with its padding or without.
std::optional<std::vector<std::byte>> DecodeBase64(std::string_view text) {
  const std::size_t length = std::min(text.find('='), text.size());
  const std::size_t padding = text.size() - length;
  if (length % 4 == 1 || (padding != 0 && (padding > 2 || text.size() % 4 != 0))) return std::nullopt;
  if (text.find_first_not_of('=', length) != std::string_view::npos) return std::nullopt;
  std::vector<std::byte> out;
  out.reserve(length * 3 / 4);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text.substr(0, length)) {
    const int value = kBase64Values[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<std::byte>(bits >> count & 0xFF));
    }
  }
  return out;
}

constexpr bool IsKeyChar(char c) { return IsLower(c) || IsDigit(c) || c == '_' || c == '-' || c == '.' || c == '*'; }

// Reads a dictionary of structured fields (RFC 8941 4.2.2) and keeps the byte sequence under one key.
class DictionaryReader {
 public:
  DictionaryReader(std::string_view text, std::string_view wanted) : rest_(text), wanted_(wanted) {}

  // Empty when the key does not occur.
  Result<std::optional<std::vector<std::byte>>> Read() {
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
    while (rest_.ends_with(' ')) rest_.remove_suffix(1);
    while (!rest_.empty()) {
      if (auto done = ReadMember(); !done) return std::unexpected(std::move(done.error()));
      SkipOws();
      if (rest_.empty()) break;
      if (!Skip(',')) return Malformed("a member is not followed by a comma");
      SkipOws();
      if (rest_.empty()) return Malformed("a comma ends the list");
    }
    if (found_other_type_) return Malformed(fmt::format("{} is not a byte sequence between colons", wanted_));
    return std::move(found_);
  }

 private:
  using Item = std::optional<std::vector<std::byte>>;  // the bytes of a byte sequence; empty for any other type

  Result<void> ReadMember() {
    const auto key = ReadKey();
    if (!key) return std::unexpected(key.error());
    Item item;
    if (Skip('=')) {
      auto value = rest_.starts_with('(') ? ReadInnerList() : ReadBareItem();
      if (!value) return std::unexpected(std::move(value.error()));
      item = *std::move(value);
    }
    if (*key == wanted_) {
      found_other_type_ = !item;
      found_ = std::move(item);
    }
    return ReadParameters();
  }

  Result<std::string_view> ReadKey() {
    if (rest_.empty() || !(IsLower(rest_.front()) || rest_.front() == '*')) {
      return Malformed("a key does not begin with a lower-case letter");
    }
    return TakeWhile(IsKeyChar);
  }

  Result<void> ReadParameters() {
    while (Skip(';')) {
      while (Skip(' ')) {
      }
      if (const auto key = ReadKey(); !key) return std::unexpected(key.error());
      if (!Skip('=')) continue;
      if (const auto value = ReadBareItem(); !value) return std::unexpected(value.error());
    }
    return {};
  }

  Result<Item> ReadInnerList() {
    Skip('(');
    for (;;) {
      while (Skip(' ')) {
      }
      if (Skip(')')) return Item();
      if (auto item = ReadBareItem(); !item) return item;
      if (auto done = ReadParameters(); !done) return std::unexpected(std::move(done.error()));
      if (!rest_.starts_with(' ') && !rest_.starts_with(')')) return Malformed("an inner list is not closed");
    }
  }

  Result<Item> ReadBareItem() {
    if (rest_.empty()) return Malformed("a value is missing");
    const char c = rest_.front();
    if (c == ':') return ReadBytes();
    if (c == '"') return ReadString();
    if (c == '-' || IsDigit(c)) return ReadNumber();
    if (c == '?') {
      if (!rest_.starts_with("?0") && !rest_.starts_with("?1")) return Malformed("a boolean is neither ?0 nor ?1");
      rest_.remove_prefix(2);
      return Item();
    }
    if (c == '*' || IsAlpha(c)) {
      TakeWhile([](char d) { return IsTokenChar(d) || d == ':' || d == '/'; });
      return Item();
    }
    return Malformed("a value is of no known type");
  }

  Result<Item> ReadBytes() {
    const std::size_t end = rest_.find(':', 1);
    if (end == std::string_view::npos) return Malformed("a byte sequence is not closed by a colon");
    auto bytes = DecodeBase64(rest_.substr(1, end - 1));
    if (!bytes) return Malformed("a byte sequence is not base64");
    rest_.remove_prefix(end + 1);
    return Item(*std::move(bytes));
  }

  Result<Item> ReadString() {
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      const auto byte = static_cast<unsigned char>(rest_[i]);
      if (byte == '"') {
        rest_.remove_prefix(i + 1);
        return Item();
      }
      if (byte < 0x20 || byte > 0x7E) return Malformed("a string holds a byte that is not visible ASCII");
      if (byte != '\\') continue;
      ++i;
      if (i < rest_.size() && rest_[i] != '"' && rest_[i] != '\\') return Malformed("a string has an unknown escape");
    }
    return Malformed("a string is not closed");
  }

  // At most 15 digits, or 12 and 1 to 3 behind the point (RFC 8941 3.3.1 and 3.3.2).
  Result<Item> ReadNumber() {
    Skip('-');
    const std::size_t whole = TakeWhile(IsDigit).size();
    const bool decimal = Skip('.');
    const std::size_t fraction = decimal ? TakeWhile(IsDigit).size() : 0;
    const bool good = decimal ? whole >= 1 && whole <= 12 && fraction >= 1 && fraction <= 3 : whole >= 1 && whole <= 15;
    if (!good) return Malformed("a number has no digits or too many");
    return Item();
  }

  template <class Predicate>
  std::string_view TakeWhile(Predicate predicate) {
    std::size_t end = 0;
    while (end < rest_.size() && predicate(rest_[end])) ++end;
    const std::string_view taken = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return taken;
  }
  bool Skip(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void SkipOws() { TakeWhile(IsOws); }

  std::string_view rest_;
  std::string_view wanted_;
  Item found_;
  bool found_other_type_ = false;
};

}  // namespace

Result<std::optional<Digest>> ParseReprDigest(std::string_view value) {
  const auto bytes = DictionaryReader(value, "sha-256").Read();
  if (!bytes) return std::unexpected(bytes.error());
  if (!*bytes) return std::nullopt;
  const auto digest = Digest::FromBytes(**bytes);
  if (!digest) return Malformed(fmt::format("sha-256 has {} bytes, not 32", (*bytes)->size()));
  return digest;
}

std::string FormatReprDigest(const Digest& digest) {
  std::string out = "sha-256=:";
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const std::byte byte : digest.AsSpan()) {
    bits = bits << 8 | std::to_integer<std::uint32_t>(byte);
    for (count += 8; count >= 6; count -= 6) out += kBase64Digits[bits >> (count - 6) & 63];
  }
  // 32 bytes leave four bits: one more digit and one "=".
  out += kBase64Digits[bits << (6 - count) & 63];
  return out + "=:";
}

}  // namespace lazaret::wire
