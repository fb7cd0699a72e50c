#include "base/result.h"

#include <cerrno>

#include <fmt/format.h>

#include <system_error>

namespace lazaret {

std::string_view ToString(Errc code) {
  switch (code) {
    case Errc::kMalformed: return "malformed";
    case Errc::kTooLarge: return "too-large";
    case Errc::kNotFound: return "not-found";
    case Errc::kTimeout: return "timeout";
    case Errc::kOverloaded: return "overloaded";
    case Errc::kUnavailable: return "unavailable";
    case Errc::kCancelled: return "cancelled";
    case Errc::kDisconnected: return "disconnected";
    case Errc::kCorrupt: return "corrupt";
    case Errc::kInternal: return "internal";
  }
  return "internal";
}

Error SystemError(std::string_view doing, int error_number) {
  Errc code = Errc::kInternal;
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM: code = Errc::kOverloaded; break;
    default: break;
  }
  return Error{code, fmt::format("{}: {}", doing, std::generic_category().message(error_number))};
}

}  // namespace lazaret
