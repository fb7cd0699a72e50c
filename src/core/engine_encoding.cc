#include "core/engine_encoding.h"

#include <utility>

namespace lazaret {

void WriteEngine(FieldWriter& out, const EngineInfo& engine) {
  out.Raw(engine.signature_set.AsSpan());
  out.Raw(engine.profile.AsSpan());
  out.Text(engine.name);
  out.Text(engine.version);
  out.Text(engine.signature_label);
  out.Number(std::uint8_t{engine.built_at.has_value()});
  if (engine.built_at) out.Number(std::int64_t{engine.built_at->time_since_epoch().count()});
  out.Number(engine.signatures);
  out.Number(std::uint8_t{engine.test_set});
}

std::optional<bool> ReadFlag(FieldReader& in) {
  const auto value = in.Number<std::uint8_t>();
  if (value > 1) return std::nullopt;
  return value == 1;
}

std::optional<EngineInfo> ReadEngine(FieldReader& in) {
  const auto signature_set = Digest::FromBytes(in.Raw(Digest::kSize));
  const auto profile = Digest::FromBytes(in.Raw(Digest::kSize));
  if (!signature_set || !profile) return std::nullopt;
  EngineInfo engine{.signature_set = *signature_set,
                    .profile = *profile,
                    .name = in.Text(),
                    .version = in.Text(),
                    .signature_label = in.Text()};
  const auto has_built_at = ReadFlag(in);
  if (!has_built_at) return std::nullopt;
  if (*has_built_at) engine.built_at = WallTime(milliseconds(in.Number<std::int64_t>()));
  engine.signatures = in.Number<std::uint64_t>();
  const auto test_set = ReadFlag(in);
  if (!test_set) return std::nullopt;
  engine.test_set = *test_set;
  return engine;
}

}  // namespace lazaret
