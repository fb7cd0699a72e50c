#pragma once

#include <optional>

#include "base/byte_fields.h"
#include "core/verdict.h"

namespace lazaret {

// What stores keep of an engine, as fields.
void WriteEngine(FieldWriter& out, const EngineInfo& engine);
// Empty when the fields are not what WriteEngine wrote; look at in.ok() besides.
std::optional<EngineInfo> ReadEngine(FieldReader& in);
// 0 or 1; nothing else is what was written.
std::optional<bool> ReadFlag(FieldReader& in);

}  // namespace lazaret
