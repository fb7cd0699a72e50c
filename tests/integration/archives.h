#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lazaret::tests {

// One member of a ZIP file (APPNOTE.TXT), with what the tests want to lie about.
struct ZipMember {
  std::string name;
  std::string data;
  bool deflate = false;
  bool encrypted_flag = false;
  std::optional<std::uint16_t> method = {};        // said instead of the true one
  std::optional<std::uint32_t> claimed_size = {};  // unpacked, said instead of the true one
};

std::string MakeZip(const std::vector<ZipMember>& members);

// `depth` ZIP files, each in the next, around `data`.
std::string MakeNestedZip(std::string data, int depth);

// The beginning of a RAR 4 archive: mark and main header (technote.txt of RAR 4).
std::string MakeRarStart();

// A compound file ([MS-CFB]) whose directory has a stream of this name.
std::string MakeCompoundFile(std::string_view stream);

// A ustar file (POSIX).
std::string MakeTar(const std::vector<std::pair<std::string, std::string>>& members);

}  // namespace lazaret::tests
