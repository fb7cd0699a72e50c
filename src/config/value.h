#pragma once

#include <expected>
#include <span>
#include <string>

#include "config/field.h"

namespace lazaret::config {

// Reads `values` into the field's place: exactly one value, but for lists, where each value is several items
// separated by commas. The error completes the sentence "<where>: <key>: ..."; then `config` is unchanged.
std::expected<void, std::string> SetField(const Field& field, std::span<const std::string> values, Config& config);

// The value as SetField reads it, with its unit; items are separated by commas.
std::string ShowValue(const Field& field, const Config& config);
// The value as it stands in a TOML file, with its unit.
std::string ShowTomlValue(const Field& field, const Config& config);
// The value as JSON; sizes and rates in bytes, durations in milliseconds.
std::string ShowJsonValue(const Field& field, const Config& config);

}  // namespace lazaret::config
