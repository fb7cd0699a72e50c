#include "scanner/charsets.h"

#include <iconv.h>
#include <link.h>

#include <array>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace lazaret::scanner {
namespace {

// The names in libclamav's table of code pages.
constexpr std::array kCharsets = {
    "ASMO-708",      "BIG5",          "CP1025",       "CP866",        "CP875",        "CP949",        "EUC-CN",
    "EUC-JP",        "EUC-KR",        "GB18030",      "GB2312",       "IBM037",       "IBM1026",      "IBM273",
    "IBM277",        "IBM278",        "IBM280",       "IBM284",       "IBM285",       "IBM290",       "IBM297",
    "IBM420",        "IBM423",        "IBM424",       "IBM437",       "IBM500",       "IBM775",       "IBM850",
    "IBM852",        "IBM855",        "IBM857",       "IBM860",       "IBM861",       "IBM863",       "IBM864",
    "IBM865",        "IBM869",        "IBM870",       "IBM871",       "IBM880",       "IBM905",       "ISO-2022-JP",
    "ISO-2022-JP-2", "ISO-2022-JP-3", "ISO-2022-KR",  "ISO-8859-1",   "ISO-8859-13",  "ISO-8859-15",  "ISO-8859-2",
    "ISO-8859-3",    "ISO-8859-4",    "ISO-8859-5",   "ISO-8859-6",   "ISO-8859-7",   "ISO-8859-8",   "ISO-8859-9",
    "JOHAB",         "KOI8-R",        "KOI8-U",       "MACINTOSH",    "SHIFT_JIS",    "US-ASCII",     "UTF-16BE",
    "UTF-16LE",      "UTF-32BE",      "UTF-32LE",     "UTF-7",        "UTF-8",        "WINDOWS-1250", "WINDOWS-1251",
    "WINDOWS-1252",  "WINDOWS-1253",  "WINDOWS-1254", "WINDOWS-1255", "WINDOWS-1256", "WINDOWS-1257", "WINDOWS-1258",
    "WINDOWS-874",
};
constexpr std::array kTargets = {"UTF-8//TRANSLIT", "UTF-8", "UTF-16BE"};

// What it asks for besides, by the byte order marks of HTML and by its own conversions.
constexpr std::array kWideCharsets = {"UNICODE", "UCS-4", "UCS-4BE", "UCS-4LE", "UTF-16", "UTF-32", "UTF-7"};

using Names = std::set<std::string>;

// The directory that glibc has loaded a conversion module from; empty when all are built in.
std::filesystem::path ModuleDirectory() {
  std::filesystem::path found;
  const auto look = [](dl_phdr_info* info, std::size_t, void* into) {
    const std::filesystem::path path(info->dlpi_name);
    if (path.parent_path().filename() != "gconv") return 0;
    *static_cast<std::filesystem::path*>(into) = path.parent_path();
    return 1;
  };
  ::dl_iterate_phdr(look, &found);
  return found;
}

// Lines "module FROM// TO// FILE COST" of glibc's configuration (gconv-modules). libxml2 asks for whatever character
// set a document names, so that all must be there.
void AddModules(const std::filesystem::path& file, Names& names) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string keyword, from;
    if (words >> keyword >> from && keyword == "module" && from.ends_with("//") && from != "INTERNAL//") {
      names.insert(from.substr(0, from.size() - 2));
    }
  }
}

Names InstalledCharsets() {
  Names names;
  const std::filesystem::path directory = ModuleDirectory();
  if (directory.empty()) return names;
  AddModules(directory / "gconv-modules", names);
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(directory / "gconv-modules.d", error)) {
    AddModules(file.path(), names);
  }
  return names;
}

}  // namespace

std::size_t CharsetConversions() { return (kCharsets.size() + kWideCharsets.size()) * kTargets.size(); }

std::size_t PreloadCharsetsAndTimeZone() {
  std::size_t loaded = 0;
  const auto preload = [&](const char* from) {
    for (const char* to : kTargets) {
      // Never closed: glibc unloads a module with its last user.
      if (::iconv_open(to, from) != reinterpret_cast<iconv_t>(-1)) ++loaded;
    }
  };
  for (const char* from : kCharsets) preload(from);
  for (const char* from : kWideCharsets) preload(from);
  for (const std::string& from : InstalledCharsets()) (void)::iconv_open(kTargets[0], from.c_str());
  ::tzset();
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  return loaded;
}

}  // namespace lazaret::scanner
