#include "clamav/clamd_identity.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <vector>

#include <fmt/format.h>

namespace lazaret::clamav {
namespace {

// Raise it when the rules for clean, infected and unscannable change (see engine_identity.cc).
constexpr int kVerdictRules = 1;

// "1.4.6" as numbers; "1.5.0-rc2" as 1, 5, 0.
std::vector<unsigned> EngineNumbers(std::string_view text) {
  std::vector<unsigned> numbers;
  while (!text.empty()) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) break;
    numbers.push_back(number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.starts_with('.')) break;
    text.remove_prefix(1);
  }
  return numbers;
}

auto SetOf(const wire::ClamdVersion& version) { return std::tie(version.daily, version.built_at); }

}  // namespace

EngineInfo DescribeClamd(const wire::ClamdVersion& version, const ClamdAbilities& abilities,
                         std::uint64_t max_file_size, WallTime now) {
  const auto day = std::chrono::floor<std::chrono::days>(now).time_since_epoch().count();
  const std::string set = version.daily ? version.text : fmt::format("{}\nday {}", version.text, day);
  const std::string profile = fmt::format(
      "lazaret clamd profile\nrules {}\nkind clamd\nengine {}\nfile {}\nlargest {}\nlimits {}\nencryption {}\n",
      kVerdictRules, version.engine, max_file_size, abilities.largest, abilities.tells_limits,
      abilities.tells_encryption);
  EngineInfo info{.signature_set = Sha256::Of(AsBytes("lazaret clamd set\n" + set)),
                  .profile = Sha256::Of(AsBytes(profile)),
                  .name = "ClamAV",
                  .version = version.engine,
                  .signature_label = version.daily ? fmt::format("daily {}, by clamd", *version.daily)
                                                   : std::string("unknown, by clamd without a daily database"),
                  .built_at = version.built_at,
                  .databases = {},
                  .isolation = {},
                  .version_line = version.text};
  if (version.daily && version.built_at) info.databases.push_back({"daily", *version.daily, *version.built_at});
  return info;
}

const wire::ClamdVersion* OlderOf(const wire::ClamdVersion& a, const wire::ClamdVersion& b) {
  if (!a.daily || !b.daily || SetOf(a) == SetOf(b)) return nullptr;
  return SetOf(a) < SetOf(b) ? &a : &b;
}

bool IsNewer(const wire::ClamdVersion& a, const wire::ClamdVersion& b) {
  if (SetOf(a) != SetOf(b)) return SetOf(a) > SetOf(b);  // none is older than any
  return EngineNumbers(a.engine) > EngineNumbers(b.engine);
}

}  // namespace lazaret::clamav
