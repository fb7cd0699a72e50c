#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace lazaret::tests {

// A directory of its own below the system's temporary directory, searchable by every user; removed with everything
// in it.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  // Makes a directory in it, open to all users.
  std::string MakeDirectory(std::string_view name) const;
  void Write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

}  // namespace lazaret::tests
