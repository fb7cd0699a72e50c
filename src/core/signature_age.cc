#include "core/signature_age.h"

#include <algorithm>

#include <fmt/format.h>

namespace lazaret {
namespace {

double Days(milliseconds time) { return std::chrono::duration<double, std::chrono::days::period>(time).count(); }

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
  return OldSignatures{
      limit.action == AgeAction::kFail,
      fmt::format("the signatures in use are {:.1f} days old, more than the {:.1f} days of signatures.max_age ({})",
                  Days(*age), Days(limit.most), engine->signature_label)};
}

}  // namespace lazaret
