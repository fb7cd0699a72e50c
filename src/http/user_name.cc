#include "http/user_name.h"

#include <pwd.h>

#include <array>

#include <fmt/format.h>

namespace lazaret::http {

std::string UserName(std::optional<uid_t> user) {
  if (!user) return "unknown";
  passwd entry{};
  std::array<char, 16384> buffer;
  passwd* found = nullptr;
  if (::getpwuid_r(*user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return entry.pw_name;
  return fmt::format("uid {}", *user);
}

}  // namespace lazaret::http
