#include "embedded/database_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace lazaret::embedded {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxCheckedBytes = std::int64_t{256} << 20;

}  // namespace

Result<void> CheckDirectoryOf(const std::string& path, const DatabaseFormat& format) {
  fs::path directory = fs::path(path).parent_path();
  if (directory.empty()) directory = ".";
  if (::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return {};
  const int number = errno;
  const std::string_view cure = number == ENOENT ? "create it" : "make it writable for the user that runs lazaret";
  return Fail(Errc::kUnavailable,
              fmt::format("the {} {} cannot be kept: directory {}: {}; {} or configure another directory", format.holds,
                          path, directory.string(), std::generic_category().message(number), cure));
}

Result<std::optional<std::string>> Examine(SqliteConnection& connection, const DatabaseFormat& format) {
  const auto damage = [](const Error& error) -> Result<std::optional<std::string>> {
    if (error.code == Errc::kCorrupt) return error.what;
    return std::unexpected(error);
  };
  const auto tables = connection.QueryInteger("SELECT count(*) FROM sqlite_schema");
  if (!tables) return damage(tables.error());
  if (*tables == 0) return std::nullopt;
  const auto application = connection.QueryInteger("PRAGMA application_id");
  if (!application) return damage(application.error());
  if (*application != format.application_id) {
    return Fail(Errc::kInternal, fmt::format("{} is a database of another program; configure another path for the {}",
                                             connection.path(), format.holds));
  }
  const auto version = connection.QueryInteger("PRAGMA user_version");
  if (!version) return damage(version.error());
  if (*version > format.version) {
    return Fail(
        Errc::kInternal,
        fmt::format("{} was written by a newer Lazaret (schema {}, this one knows up to {}); run that one, or {}",
                    connection.path(), *version, format.version, format.newer_cure));
  }
  std::error_code ignored;
  if (fs::file_size(connection.path(), ignored) <= static_cast<std::uintmax_t>(kMaxCheckedBytes)) {
    const auto check = connection.QueryText("PRAGMA quick_check(1)");
    if (!check) return damage(check.error());
    if (*check != "ok") return *check;
  }
  return std::nullopt;
}

Result<void> MakeTables(SqliteConnection& connection, const DatabaseFormat& format) {
  const auto version = connection.QueryInteger("PRAGMA user_version");
  if (!version) return std::unexpected(version.error());
  if (*version != 0) return {};
  if (auto made = connection.Execute(format.schema); !made) return made;
  const std::string mark =
      fmt::format("PRAGMA application_id={}; PRAGMA user_version={}", format.application_id, format.version);
  return connection.Execute(mark.c_str());
}

}  // namespace lazaret::embedded
