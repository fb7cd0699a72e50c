#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

// What the HTTP grammars share (RFC 9110 5.6): character classes, whitespace, comparison without regard to case.
// Bytes are ASCII or opaque; nothing depends on the locale.
namespace lazaret::wire {

inline constexpr std::array<bool, 256> kIsTokenChar = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

constexpr bool IsTokenChar(char c) { return kIsTokenChar[static_cast<unsigned char>(c)]; }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool IsAlpha(char c) { return IsLower(c) || IsUpper(c); }
constexpr bool IsOws(char c) { return c == ' ' || c == '\t'; }
constexpr char ToLower(char c) { return IsUpper(c) ? static_cast<char>(c | 0x20) : c; }

// -1 unless `c` is a hexadecimal digit.
constexpr int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = ToLower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

constexpr bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, ToLower, ToLower);
}

constexpr bool IsToken(std::string_view text) { return !text.empty() && std::ranges::all_of(text, IsTokenChar); }

constexpr std::string_view TrimOws(std::string_view text) {
  while (!text.empty() && IsOws(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsOws(text.back())) text.remove_suffix(1);
  return text;
}

// A byte that no field value may hold: below 0x20 except the tab, or 0x7F.
constexpr bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7F;
}

// Written without branches: the compiler turns it into vector instructions.
constexpr bool HasControl(std::string_view text) {
  unsigned found = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    found |= (static_cast<unsigned>(byte < 0x20) & static_cast<unsigned>(byte != '\t')) |
             static_cast<unsigned>(byte == 0x7F);
  }
  return found != 0;
}

// For messages: what the first control byte of `text` is.
constexpr std::string_view NameFirstControl(std::string_view text) {
  const auto at = std::ranges::find_if(text, IsControl);
  if (at == text.end()) return "no control byte";
  switch (*at) {
    case '\0': return "a NUL byte";
    case '\r': return "a bare CR";
    case '\n': return "a bare LF";
    default: return "a control byte";
  }
}

}  // namespace lazaret::wire
