#include "http/date_field.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace lazaret::http {

std::string_view DateField::Now() {
  const std::time_t now = std::time(nullptr);
  // Day and month names must be English whatever the locale.
  if (now != time_) text_ = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(now));
  time_ = now;
  return text_;
}

}  // namespace lazaret::http
