#include "clamav/clamd_probe.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

namespace lazaret::clamav {
namespace {

constexpr int kDepth = 110;  // MaxRecursion is at most 100
constexpr std::uint16_t kEncryptedFlag = 1;

struct Member {
  std::string_view name;
  std::uint64_t size;
  std::uint32_t crc;  // 0 where clamd does not look at it
  std::uint16_t flags = 0;
};

void Put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i, value >>= 8) out += static_cast<char>(value & 0xFF);
}

// What the local and the central header have in common (APPNOTE.TXT 4.3.7 and 4.3.12): a member stored as it is.
void PutCommon(std::string& out, const Member& member) {
  Put(out, 20, 2);
  Put(out, member.flags, 2);
  Put(out, 0, 2);           // stored
  Put(out, 0x5A000000, 4);  // some day in 2025
  Put(out, member.crc, 4);
  Put(out, member.size, 4);
  Put(out, member.size, 4);
  Put(out, member.name.size(), 2);
  Put(out, 0, 2);
}

std::string LocalHeader(const Member& member) {
  std::string out = "PK\3\4";
  PutCommon(out, member);
  return out.append(member.name);
}

std::string CentralHeader(const Member& member, std::uint64_t offset) {
  std::string out = "PK\1\2";
  Put(out, 20, 2);
  PutCommon(out, member);
  Put(out, 0, 2 + 2 + 2 + 4);
  Put(out, offset, 4);
  return out.append(member.name);
}

std::string End(std::uint64_t members, std::uint64_t central_size, std::uint64_t central_offset) {
  std::string out = "PK\5\6";
  Put(out, 0, 4);
  Put(out, members, 2);
  Put(out, members, 2);
  Put(out, central_size, 4);
  Put(out, central_offset, 4);
  Put(out, 0, 2);
  return out;
}

std::uint32_t Crc32(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

std::string ZipOf(std::string_view data, std::uint16_t flags = 0) {
  const Member member{"a", data.size(), Crc32(data), flags};
  const std::string local = LocalHeader(member);
  const std::string central = CentralHeader(member, 0);
  return local + std::string(data) + central + End(1, central.size(), local.size() + data.size());
}

Result<void> WriteAt(int fd, std::string_view bytes, std::uint64_t offset) {
  if (::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes.size())) {
    return {};
  }
  return std::unexpected(SystemError("writing a probe for clamd", errno));
}

}  // namespace

std::string EicarProbe() {
  // In pieces, so that this file is not taken for it.
  return std::string("X5O!P%@AP[4\\PZX54(P^)7CC)7}$") + "EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*";
}

std::string DeepProbe() {
  std::string data = "a lazaret probe: harmless, and deep inside\n";
  for (int i = 0; i < kDepth; ++i) data = ZipOf(data);
  return data;
}

std::string EncryptedProbe() { return ZipOf("a lazaret probe: harmless, not really encrypted\n", kEncryptedFlag); }

Result<UniqueFd> MakeProbeFile(const std::string& bytes) {
  UniqueFd fd(::memfd_create("lazaret-probe", MFD_CLOEXEC));
  if (!fd) return std::unexpected(SystemError("making a probe for clamd", errno));
  if (auto written = WriteAt(fd.Get(), bytes, 0); !written) return std::unexpected(written.error());
  return fd;
}

Result<UniqueFd> SizedProbe(std::uint64_t size) {
  const std::string eicar = EicarProbe();
  const Member found{"eicar.com", eicar.size(), Crc32(eicar)};
  const std::string front = LocalHeader(found) + eicar;
  Member filler{"padding", 0, 0};
  const auto back = [&](std::uint64_t central_offset) {
    const std::string central = CentralHeader(found, 0) + CentralHeader(filler, front.size());
    return central + End(2, central.size(), central_offset);
  };
  const std::uint64_t before = front.size() + LocalHeader(filler).size();
  filler.size = size - before - back(0).size();
  const std::uint64_t central_offset = before + filler.size;

  auto fd = MakeProbeFile(front + LocalHeader(filler));
  if (!fd) return fd;
  if (auto written = WriteAt(fd->Get(), back(central_offset), central_offset); !written) {
    return std::unexpected(written.error());
  }
  return fd;
}

}  // namespace lazaret::clamav
