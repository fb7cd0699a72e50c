#include "core/signature_age.h"

#include <algorithm>

#include <fmt/format.h>

namespace lazaret {
namespace {

std::string Text(milliseconds time) {
  const std::chrono::duration<double, std::chrono::hours::period> hours = time;
  return hours < std::chrono::days(2) ? fmt::format("{:.1f} hours", hours.count())
                                      : fmt::format("{:.1f} days", hours.count() / 24);
}

}  // namespace

std::optional<WallTime> DateOf(const EngineInfo& engine) {
  if (engine.test_set) return std::nullopt;
  return engine.built_at ? engine.built_at : engine.files_at;
}

std::optional<milliseconds> AgeOf(const EngineInfo& engine, WallTime now) {
  const auto date = DateOf(engine);
  if (!date) return std::nullopt;
  return std::max<milliseconds>(now - *date, milliseconds(0));
}

std::optional<OldSignatures> FindOldSignatures(const EngineInfoPtr& engine, const AgeLimit& limit, WallTime now) {
  if (limit.action == AgeAction::kIgnore || engine == nullptr) return std::nullopt;
  const auto age = AgeOf(*engine, now);
  if (!age || *age <= limit.most) return std::nullopt;
  return OldSignatures{limit.action == AgeAction::kFail,
                       fmt::format("the signatures in use are {} old, more than the {} of signatures.max_age ({})",
                                   Text(*age), Text(limit.most), engine->signature_label)};
}

}  // namespace lazaret
