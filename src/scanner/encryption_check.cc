#include "scanner/encryption_check.h"

#include <algorithm>
#include <string>

#include "scanner/little_endian.h"

namespace lazaret::scanner {
namespace {

using namespace std::string_view_literals;
using wire::OutcomeReason;

// The first bytes of a stream of a compound file ([MS-CFB] 2.6.1); nothing for streams in the mini FAT, which are too
// small for a document. `name` in UTF-16.
class CompoundFile {
 public:
  explicit CompoundFile(std::string_view content) : content_(content) {}

  bool HasStream(std::string_view name) const { return FindEntry(name) != content_.npos; }

  std::string_view StartOf(std::string_view name) const {
    constexpr std::size_t kHeader = 512, kShiftAt = 30, kFirstSectorAt = 116;
    const auto entry = FindEntry(name);
    if (entry == content_.npos || content_.size() < kHeader) return {};
    const unsigned shift = Little16(content_, kShiftAt);
    if (shift != 9 && shift != 12) return {};
    const std::uint64_t at = (std::uint64_t{Little32(content_, entry + kFirstSectorAt)} + 1) << shift;
    return at < content_.size() ? content_.substr(at, std::size_t{1} << shift) : std::string_view{};
  }

 private:
  std::size_t FindEntry(std::string_view name) const {
    constexpr std::size_t kEntrySize = 128, kLengthAt = 64, kTypeAt = 66;
    constexpr unsigned kStream = 2;
    for (auto at = content_.find(name); at != content_.npos; at = content_.find(name, at + 2)) {
      if (at % kEntrySize != 0 || content_.size() - at < kEntrySize) continue;
      if (Little16(content_, at + kLengthAt) == name.size() && Byte(content_, at + kTypeAt) == kStream) return at;
    }
    return content_.npos;
  }

  std::string_view content_;
};

bool IsEncryptedWord(std::string_view stream) {
  constexpr unsigned kWordMark = 0xA5EC, kEncrypted = 0x0100;
  return stream.size() >= 12 && Little16(stream, 0) == kWordMark && (Little16(stream, 10) & kEncrypted) != 0;
}

bool IsEncryptedExcel(std::string_view stream) {
  constexpr unsigned kStart = 0x0809, kFilePass = 0x002F;
  if (stream.size() < 4 || Little16(stream, 0) != kStart) return false;
  for (std::size_t at = 0; at + 4 <= stream.size(); at += 4 + Little16(stream, at + 2)) {
    if (Little16(stream, at) == kFilePass) return true;
  }
  return false;
}

bool IsEncryptedCompoundFile(std::string_view content) {
  constexpr auto kPackage = "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0\0\0"sv;
  constexpr auto kWord = "W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t\0\0\0"sv;
  constexpr auto kWorkbook = "W\0o\0r\0k\0b\0o\0o\0k\0\0\0"sv, kBook = "B\0o\0o\0k\0\0\0"sv;
  const CompoundFile file(content);
  return file.HasStream(kPackage) || IsEncryptedWord(file.StartOf(kWord)) ||
         IsEncryptedExcel(file.StartOf(kWorkbook)) || IsEncryptedExcel(file.StartOf(kBook));
}

bool IsEncryptedOpenDocument(std::string_view content) {
  constexpr std::size_t kHead = 1024;
  return content.substr(0, kHead).find("urn:oasis:names:tc:opendocument:xmlns:manifest:") != content.npos &&
         content.find("encryption-data") != content.npos;
}

bool ContainsNoCase(std::string_view text, std::string_view lower) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  return std::ranges::search(text, lower, same).begin() != text.end();
}

bool IsEncryptedMail(std::string_view content) {
  constexpr std::size_t kHead = 64 * 1024;
  const std::string_view head = content.substr(0, kHead);
  const bool is_mime = ContainsNoCase(head, "content-type: application/pkcs7-mime") ||
                       ContainsNoCase(head, "content-type: application/x-pkcs7-mime");
  return is_mime &&
         (ContainsNoCase(head, "smime-type=enveloped-data") || ContainsNoCase(head, "smime-type=\"enveloped-data\"") ||
          ContainsNoCase(head, "smime-type=authenveloped-data"));
}

// ContentInfo (RFC 5652 3) with the content type id-envelopedData.
bool IsEnvelopedData(std::string_view content) {
  constexpr auto kEnveloped = "\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x03"sv;
  constexpr std::size_t kLongestLength = 8;
  return content.starts_with('\x30') &&
         content.substr(0, kLongestLength + kEnveloped.size()).find(kEnveloped) < content.npos;
}

}  // namespace

std::optional<Incomplete> CheckEncryption(const Layer& layer) {
  const std::string_view content = AsText(layer.content.value_or(Bytes{}));
  const auto encrypted = [](const char* what) { return Incomplete{OutcomeReason::kEncrypted, what}; };
  if (layer.type == "CL_TYPE_MSOLE2") {
    if (IsEncryptedCompoundFile(content)) return encrypted("encrypted Office document");
  } else if (layer.type == "CL_TYPE_MAIL" || layer.type.starts_with("CL_TYPE_TEXT_")) {
    if (IsEncryptedMail(content)) return encrypted("encrypted mail (S/MIME)");
  }
  if (IsEnvelopedData(content)) return encrypted("encrypted message (CMS)");
  if (IsEncryptedOpenDocument(content)) return encrypted("encrypted OpenDocument file");
  return std::nullopt;
}

}  // namespace lazaret::scanner
