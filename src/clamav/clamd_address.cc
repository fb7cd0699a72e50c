#include "clamav/clamd_address.h"

#include <fmt/format.h>

namespace lazaret::clamav {

std::string ClamdAddress::Text() const {
  if (is_unix()) return "unix:" + path;
  return host.find(':') == std::string::npos ? fmt::format("tcp:{}:{}", host, port)
                                             : fmt::format("tcp:[{}]:{}", host, port);
}

}  // namespace lazaret::clamav
