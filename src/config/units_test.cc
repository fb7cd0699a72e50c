#include "config/units.h"

#include <gtest/gtest.h>

#include <vector>

namespace lazaret::config {
namespace {

constexpr auto kSyntax = std::unexpected(NumberFault::kSyntax);
constexpr auto kOutOfRange = std::unexpected(NumberFault::kOutOfRange);

TEST(ParseCount, TakesDigitsOnly) {
  const std::vector<std::pair<std::string_view, Number<std::uint64_t>>> cases = {
      {"0", 0},
      {"007", 7},
      {"18446744073709551615", UINT64_MAX},
      {"18446744073709551616", kOutOfRange},
      {"99999999999999999999999999", kOutOfRange},
      {"-1", kOutOfRange},
      {"-99999999999999999999999999", kOutOfRange},
      {"", kSyntax},
      {"-", kSyntax},
      {"--1", kSyntax},
      {"+1", kSyntax},
      {" 1", kSyntax},
      {"1 ", kSyntax},
      {"1.5", kSyntax},
      {"1e3", kSyntax},
      {"0x10", kSyntax},
      {"1k", kSyntax},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(ParseCount(text), expected) << '"' << text << '"';
}

TEST(ParseSize, KnowsBinaryAndDecimalUnits) {
  const std::vector<std::pair<std::string_view, Number<std::uint64_t>>> cases = {
      {"0", 0},
      {"4096", 4096},
      {"4096B", 4096},
      {"64KiB", 65536},
      {"3MiB", 3145728},
      {"2GiB", 2147483648},
      {"1TiB", 1099511627776},
      {"1kB", 1000},
      {"1KB", 1000},
      {"500MB", 500000000},
      {"7GB", 7000000000},
      {"1TB", 1000000000000},
      {"16777215TiB", 16777215ull << 40},
      {"16777216TiB", kOutOfRange},
      {"18446744073709551615B", UINT64_MAX},
      {"18446744073709551616B", kOutOfRange},
      {"18446744073709551616", kOutOfRange},
      {"18014398509481984KiB", kOutOfRange},
      {"-1", kOutOfRange},
      {"-1KiB", kOutOfRange},
      {"", kSyntax},
      {"KiB", kSyntax},
      {"-KiB", kSyntax},
      {"64K", kSyntax},
      {"64kib", kSyntax},
      {"64 KiB", kSyntax},
      {"1.5GiB", kSyntax},
      {"1KiB2", kSyntax},
      {"64s", kSyntax},
      {"1KiBKiB", kSyntax},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(ParseSize(text), expected) << '"' << text << '"';
}

TEST(ParseRate, TakesASizeWithOrWithoutPerSecond) {
  EXPECT_EQ(ParseRate("1KiB/s"), 1024u);
  EXPECT_EQ(ParseRate("1KiB"), 1024u);
  EXPECT_EQ(ParseRate("10/s"), 10u);
  EXPECT_EQ(ParseRate("/s"), kSyntax);
  EXPECT_EQ(ParseRate("1KiB/m"), kSyntax);
}

TEST(ParseDuration, NeedsAUnit) {
  const std::vector<std::pair<std::string_view, Number<milliseconds>>> cases = {
      {"0s", milliseconds(0)},
      {"500ms", milliseconds(500)},
      {"30s", milliseconds(30'000)},
      {"5m", milliseconds(300'000)},
      {"2h", milliseconds(7'200'000)},
      {"7d", milliseconds(604'800'000)},
      {"9223372036854775807ms", milliseconds::max()},
      {"9223372036854775808ms", kOutOfRange},
      {"106751991167d", milliseconds(106751991167 * 86'400'000)},
      {"106751991168d", kOutOfRange},
      {"213503982335d", kOutOfRange},
      {"18446744073709551616s", kOutOfRange},
      {"-1s", kOutOfRange},
      {"", kSyntax},
      {"0", kSyntax},
      {"30", kSyntax},
      {"s", kSyntax},
      {"30 s", kSyntax},
      {"30S", kSyntax},
      {"1m30s", kSyntax},
      {"1.5h", kSyntax},
      {"30sec", kSyntax},
      {"1w", kSyntax},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(ParseDuration(text), expected) << '"' << text << '"';
}

TEST(ParseMode, TakesOctalDigitsOnly) {
  EXPECT_EQ(ParseMode("0"), 0u);
  EXPECT_EQ(ParseMode("660"), 0660u);
  EXPECT_EQ(ParseMode("0660"), 0660u);
  EXPECT_EQ(ParseMode("1777777777777777777777"), UINT64_MAX);
  EXPECT_EQ(ParseMode("2000000000000000000000"), kOutOfRange);
  EXPECT_EQ(ParseMode("-1"), kOutOfRange);
  for (const std::string_view text : {"", "8", "0o660", "0x1b0", "rw-rw----", " 660", "660 "}) {
    EXPECT_EQ(ParseMode(text), kSyntax) << text;
  }
}

TEST(Format, UsesTheLargestExactUnit) {
  EXPECT_EQ(FormatSize(0), "0B");
  EXPECT_EQ(FormatSize(1), "1B");
  EXPECT_EQ(FormatSize(2'147'483'645), "2147483645B");
  EXPECT_EQ(FormatSize(65536), "64KiB");
  EXPECT_EQ(FormatSize(1ull << 40), "1TiB");
  EXPECT_EQ(FormatSize(500'000'000), "500MB");
  EXPECT_EQ(FormatSize(1500), "1500B");
  EXPECT_EQ(FormatRate(1024), "1KiB/s");
  EXPECT_EQ(FormatMode(0660), "0660");
  EXPECT_EQ(FormatMode(07), "0007");
  EXPECT_EQ(FormatDuration(milliseconds(0)), "0s");
  EXPECT_EQ(FormatDuration(milliseconds(1500)), "1500ms");
  EXPECT_EQ(FormatDuration(seconds(90)), "90s");
  EXPECT_EQ(FormatDuration(seconds(120)), "2m");
  EXPECT_EQ(FormatDuration(std::chrono::days(30)), "30d");
}

TEST(Format, IsReadBackToTheSameValue) {
  for (const std::uint64_t value : {0ull, 1ull, 999ull, 1000ull, 1024ull, 1048576ull, 123456789ull, ~0ull}) {
    EXPECT_EQ(ParseSize(FormatSize(value)), value);
    EXPECT_EQ(ParseRate(FormatRate(value)), value);
  }
  for (const long long value : {0ll, 1ll, 999ll, 1000ll, 60000ll, 3600000ll, 86400000ll, 90061001ll}) {
    EXPECT_EQ(ParseDuration(FormatDuration(milliseconds(value))), milliseconds(value));
  }
}

}  // namespace
}  // namespace lazaret::config
