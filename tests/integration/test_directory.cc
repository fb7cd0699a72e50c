#include "integration/test_directory.h"

#include <stdlib.h>

#include <fstream>
#include <stdexcept>
#include <system_error>

namespace lazaret::tests {
namespace fs = std::filesystem;

TestDirectory::TestDirectory() {
  std::string pattern = (fs::temp_directory_path() / "lazaret-test-XXXXXX").native();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
  path_ = pattern;
  // The scanners run as another user.
  fs::permissions(path_, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
}

TestDirectory::~TestDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TestDirectory::MakeDirectory(std::string_view name) const {
  const fs::path directory = path_ / name;
  fs::create_directories(directory);
  fs::permissions(directory, fs::perms::all);
  return directory.native();
}

void TestDirectory::Write(std::string_view name, std::string_view content) const {
  const fs::path file = path_ / name;
  fs::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  if (!out) throw std::runtime_error("writing " + file.native());
}

}  // namespace lazaret::tests
