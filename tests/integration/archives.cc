#include "integration/archives.h"

#include <zlib.h>

#include <cstdio>
#include <stdexcept>

namespace lazaret::tests {
namespace {

template <class T>
void Append(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
}

std::string Deflate(std::string_view data) {
  z_stream stream{};
  if (::deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2 failed");
  }
  std::string out(::deflateBound(&stream, data.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (::deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate failed");
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

}  // namespace

std::string MakeZip(const std::vector<ZipMember>& members) {
  constexpr std::uint16_t kVersion = 20, kStored = 0, kDeflated = 8;
  std::string out;
  std::string directory;
  for (const ZipMember& member : members) {
    const std::string packed = member.deflate ? Deflate(member.data) : member.data;
    std::string common;
    Append(common, kVersion);
    Append(common, static_cast<std::uint16_t>(member.encrypted_flag ? 1 : 0));
    Append(common, member.method.value_or(member.deflate ? kDeflated : kStored));
    Append(common, std::uint32_t{0});  // time and date
    Append(common, static_cast<std::uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(member.data.data()),
                                                      static_cast<uInt>(member.data.size()))));
    Append(common, static_cast<std::uint32_t>(packed.size()));
    Append(common, member.claimed_size.value_or(static_cast<std::uint32_t>(member.data.size())));
    Append(common, static_cast<std::uint16_t>(member.name.size()));
    Append(common, std::uint16_t{0});  // extra field

    directory += "PK\x01\x02";
    Append(directory, kVersion);
    directory += common;
    Append(directory, std::uint16_t{0});  // comment
    Append(directory, std::uint16_t{0});  // disk
    Append(directory, std::uint16_t{0});  // attributes
    Append(directory, std::uint32_t{0});
    Append(directory, static_cast<std::uint32_t>(out.size()));
    directory += member.name;

    out += "PK\x03\x04" + common + member.name + packed;
  }
  const auto count = static_cast<std::uint16_t>(members.size());
  const auto offset = static_cast<std::uint32_t>(out.size());
  out += directory + "PK\x05\x06";
  Append(out, std::uint32_t{0});
  Append(out, count);
  Append(out, count);
  Append(out, static_cast<std::uint32_t>(directory.size()));
  Append(out, offset);
  Append(out, std::uint16_t{0});
  return out;
}

std::string MakeNestedZip(std::string data, int depth) {
  for (int i = 0; i < depth; ++i) {
    data = MakeZip({{.name = "inner", .data = std::move(data), .deflate = true}});
  }
  return data;
}

std::string MakeRarStart() {
  std::string out("Rar!\x1A\x07\0", 7);
  Append(out, std::uint16_t{0x90CF});  // CRC
  out += '\x73';
  Append(out, std::uint16_t{0});
  Append(out, std::uint16_t{13});
  out.append(6, '\0');
  out.append(512, 'x');
  return out;
}

std::string MakeCompoundFile(std::string_view stream) {
  constexpr std::size_t kSector = 512;
  std::string header("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8);
  header.append(16, '\0');
  for (const int value : {0x3E, 3, 0xFFFE, 9, 6}) Append(header, static_cast<std::uint16_t>(value));
  header.append(10, '\0');
  // One FAT sector (0), the directory in sector 1, no short streams.
  for (const std::uint32_t value : {1u, 1u, 0u, 4096u, 0xFFFFFFFEu, 0u, 0xFFFFFFFEu, 0u, 0u}) Append(header, value);
  header.resize(kSector, '\xFF');

  std::string fat;
  Append(fat, std::uint32_t{0xFFFFFFFD});
  Append(fat, std::uint32_t{0xFFFFFFFE});
  fat.resize(kSector, '\xFF');

  const auto entry = [](std::string_view name, char type, std::uint32_t child) {
    std::string out;
    for (const char c : name) Append(out, static_cast<std::uint16_t>(c));
    out.resize(64, '\0');
    Append(out, static_cast<std::uint16_t>(2 * (name.size() + 1)));
    out += type;
    out += '\1';
    Append(out, std::uint32_t{0xFFFFFFFF});
    Append(out, std::uint32_t{0xFFFFFFFF});
    Append(out, child);
    out.resize(116, '\0');
    Append(out, std::uint32_t{0xFFFFFFFE});
    out.resize(128, '\0');
    return out;
  };
  std::string directory = entry("Root Entry", '\5', 1) + entry(stream, '\2', 0xFFFFFFFF);
  directory.resize(kSector, '\0');
  return header + fat + directory;
}

std::string MakeTar(const std::vector<std::pair<std::string, std::string>>& members) {
  constexpr std::size_t kBlock = 512;
  std::string out;
  for (const auto& [name, data] : members) {
    std::string header = name;
    header.resize(100, '\0');
    char numbers[64];
    std::snprintf(numbers, sizeof numbers, "%07o%c%07o%c%07o%c%011zo%c%011o%c", 0644u, 0, 0u, 0, 0u, 0, data.size(), 0,
                  0u, 0);
    header.append(numbers, 48);
    header += "        0";
    header.resize(257, '\0');
    header.append(
        "ustar\0"
        "00",
        8);
    header.resize(kBlock, '\0');
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    std::snprintf(numbers, sizeof numbers, "%06o%c ", sum, 0);
    header.replace(148, 8, numbers, 8);
    out += header + data;
    out.resize((out.size() + kBlock - 1) / kBlock * kBlock, '\0');
  }
  out.append(2 * kBlock, '\0');
  return out;
}

}  // namespace lazaret::tests
