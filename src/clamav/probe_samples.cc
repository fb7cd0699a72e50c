#include "clamav/probe_samples.h"

#include <cstddef>
#include <cstdint>

#include <fmt/format.h>

namespace lazaret::clamav {
namespace {

template <class... Ts>
std::string LittleEndian(int bytes, Ts... values) {
  std::string out;
  const auto append = [&](std::uint64_t value) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  };
  (append(static_cast<std::uint64_t>(values)), ...);
  return out;
}

std::string Padded(std::string text, std::size_t size) {
  text.resize(size);
  return text;
}

std::string Text() {
  std::string text;
  for (int line = 1; line <= 40; ++line) {
    text += fmt::format("{}. The quick brown fox jumps over the lazy dog; 0123456789 (and back).\r\n", line);
  }
  return text;
}

std::string Html() {
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Minutes</title><style>p { margin: 1em }</style></head>\n"
         "<body><h1>Minutes</h1><p>Nothing was decided.</p><script>document.title = 'Minutes';</script>\n"
         "<a href=\"https://example.com/\">Example</a></body></html>\n";
}

std::string Mail() {
  return "From: a@example.com\r\nTo: b@example.com\r\nSubject: Lunch\r\nDate: Mon, 5 Jan 2026 12:00:00 +0000\r\n"
         "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"part\"\r\n\r\n--part\r\n"
         "Content-Type: text/plain\r\n\r\nAt noon?\r\n--part\r\nContent-Type: text/csv; name=\"menu.csv\"\r\n"
         "Content-Transfer-Encoding: base64\r\n\r\nc291cCw0CmJyZWFkLDEK\r\n--part--\r\n";
}

std::string Rtf() { return "{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 Times;}}\\f0\\fs24 A short letter.\\par}\n"; }

std::string Script() { return "#!/bin/sh\nset -e\nfor name in one two; do\n  echo \"$name\"\ndone\n"; }

std::string Pdf() {
  const std::string_view objects[] = {"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
                                      "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R >>",
                                      "<< /Length 28 >>\nstream\n0 0 m 100 100 l S 0 0 1 1 re\nendstream"};
  std::string pdf = "%PDF-1.4\n";
  std::string table = "xref\n0 5\n0000000000 65535 f \n";
  int number = 0;
  for (const std::string_view object : objects) {
    table += fmt::format("{:010} 00000 n \n", pdf.size());
    pdf += fmt::format("{} 0 obj\n{}\nendobj\n", ++number, object);
  }
  const std::size_t start = pdf.size();
  return pdf + table + fmt::format("trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{}\n%%EOF\n", start);
}

// One pixel.
std::string Gif() {
  return "GIF89a" + LittleEndian(2, 1, 1) + std::string("\x80\0\0\0\0\0\xFF\xFF\xFF", 9) + "," +
         LittleEndian(2, 0, 0, 1, 1) + std::string("\0\x02\x02\x44\x01\0", 6) + ";";
}

std::uint32_t Crc32(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

// One stored member (PKWARE APPNOTE.TXT).
std::string Zip() {
  const std::string name = "readme.txt";
  const std::string data = Text();
  const std::string about = LittleEndian(2, 20, 0, 0, 0, 0x5C21) +
                            LittleEndian(4, Crc32(data), data.size(), data.size()) + LittleEndian(2, name.size(), 0);
  const std::string local = "PK\x03\x04" + about + name + data;
  const std::string central =
      "PK\x01\x02" + LittleEndian(2, 20) + about + LittleEndian(2, 0, 0, 0) + LittleEndian(4, 0, 0) + name;
  return local + central + "PK\x05\x06" + LittleEndian(2, 0, 0, 1, 1) + LittleEndian(4, central.size(), local.size()) +
         LittleEndian(2, 0);
}

// A program for x86-64 that does nothing: mov $60, %eax; xor %edi, %edi; syscall.
std::string Elf() {
  constexpr std::uint64_t kBase = 0x400000;
  const std::string code("\xB8\x3C\0\0\0\x31\xFF\x0F\x05", 9);
  const std::uint64_t size = 64 + 56 + code.size();
  const std::string header = Padded(std::string("\x7F") + "ELF\x02\x01\x01", 16) + LittleEndian(2, 2, 62) +
                             LittleEndian(4, 1) + LittleEndian(8, kBase + 120, 64, 0) + LittleEndian(4, 0) +
                             LittleEndian(2, 64, 56, 1, 0, 0, 0);
  const std::string segment = LittleEndian(4, 1, 5) + LittleEndian(8, 0, kBase, kBase, size, size, 4096);
  return header + segment + code;
}

// A program for Windows (PE32) with one section: xor eax, eax; ret.
std::string Pe() {
  constexpr std::uint32_t kFileAlignment = 512;
  const std::string dos = Padded("MZ", 60) + LittleEndian(4, 64);
  const std::string coff = LittleEndian(2, 0x14C, 1) + LittleEndian(4, 0, 0, 0) + LittleEndian(2, 224, 0x102);
  const std::string optional = LittleEndian(2, 0x10B, 0x0008) +
                               LittleEndian(4, kFileAlignment, 0, 0, 4096, 4096, 8192) +
                               LittleEndian(4, 0x400000, 4096, kFileAlignment) + LittleEndian(2, 4, 0, 0, 0, 4, 0) +
                               LittleEndian(4, 0, 8192, kFileAlignment, 0) + LittleEndian(2, 3, 0) +
                               LittleEndian(4, 1 << 20, 4096, 1 << 20, 4096, 0, 16) + std::string(16 * 8, '\0');
  const std::string section = Padded(".text", 8) + LittleEndian(4, 4096, 4096, kFileAlignment, kFileAlignment, 0, 0) +
                              LittleEndian(2, 0, 0) + LittleEndian(4, 0x60000020);
  const std::string headers = dos + std::string("PE\0\0", 4) + coff + optional + section;
  return Padded(headers, kFileAlignment) + Padded("\x31\xC0\xC3", kFileAlignment);
}

std::string EveryByte() {
  std::string bytes;
  for (int round = 0; round < 8; ++round) {
    for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace

std::vector<ProbeSample> CleanSamples() {
  return {{"text", Text()},     {"html", Html()}, {"mail", Mail()},       {"rtf", Rtf()},
          {"script", Script()}, {"pdf", Pdf()},   {"gif", Gif()},         {"zip", Zip()},
          {"elf", Elf()},       {"pe", Pe()},     {"bytes", EveryByte()}, {"zeros", std::string(4096, '\0')}};
}

}  // namespace lazaret::clamav
