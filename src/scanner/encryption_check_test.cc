#include "scanner/encryption_check.h"

#include <gtest/gtest.h>

#include <string>

namespace lazaret::scanner {
namespace {

using namespace std::string_literals;

bool Encrypted(std::string_view type, std::string_view content) {
  const auto found = CheckEncryption({type, AsBytes(content)});
  return found && found->reason == wire::OutcomeReason::kEncrypted;
}

// Header, one sector with the entry of a stream, and one with the stream.
std::string CompoundFile(std::string_view name, std::string stream) {
  std::string file(512, '\0');
  file[30] = 9;
  std::string entry;
  for (const char c : name) entry += {c, '\0'};
  entry.resize(64, '\0');
  entry += static_cast<char>(2 * (name.size() + 1));
  entry += {'\0', '\2'};
  entry.resize(116, '\0');
  entry += '\1';
  entry.resize(512, '\0');
  stream.resize(512, '\0');
  return file + entry + stream;
}

TEST(EncryptionCheck, ReadsTheBitOfWordDocuments) {
  const std::string mark = "\xEC\xA5\xC1\0\0\0\x09\4\0\0"s;
  EXPECT_TRUE(Encrypted("CL_TYPE_MSOLE2", CompoundFile("WordDocument", mark + "\0\1"s)));
  EXPECT_FALSE(Encrypted("CL_TYPE_MSOLE2", CompoundFile("WordDocument", mark + "\0\2"s)));
  EXPECT_FALSE(Encrypted("CL_TYPE_BINARY_DATA", CompoundFile("WordDocument", mark + "\0\1"s)));
}

TEST(EncryptionCheck, LooksForTheRecordOfWorkbooks) {
  const std::string start = "\x09\x08\4\0\0\6\5\0"s;
  for (const char* name : {"Workbook", "Book"}) {
    EXPECT_TRUE(Encrypted("CL_TYPE_MSOLE2", CompoundFile(name, start + "\x2F\0\2\0\1\0"s)));
    EXPECT_FALSE(Encrypted("CL_TYPE_MSOLE2", CompoundFile(name, start + "\x2E\0\4\0\x2F\0\2\0"s))) << "within a record";
  }
}

TEST(EncryptionCheck, ReadsOpenDocumentManifests) {
  const std::string head = "<?xml?><m:manifest xmlns:m=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\">";
  EXPECT_TRUE(Encrypted("CL_TYPE_TEXT_ASCII", head + "<m:encryption-data/>"));
  EXPECT_FALSE(Encrypted("CL_TYPE_TEXT_ASCII", head + "<m:file-entry/>"));
  EXPECT_FALSE(Encrypted("CL_TYPE_TEXT_ASCII", "<m:encryption-data/>"));
}

TEST(EncryptionCheck, KnowsEnvelopedData) {
  const std::string mail = "Subject: x\nContent-Type: application/pkcs7-mime; ";
  EXPECT_TRUE(Encrypted("CL_TYPE_MAIL", mail + "smime-type=enveloped-data\n\nMIIB"));
  EXPECT_TRUE(Encrypted("CL_TYPE_TEXT_ASCII", mail + "smime-type=\"Enveloped-Data\"\n\nMIIB"));
  EXPECT_FALSE(Encrypted("CL_TYPE_MAIL", mail + "smime-type=signed-data\n\nMIIB"));
  const std::string oid = "\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07"s;
  EXPECT_TRUE(Encrypted("CL_TYPE_BINARY_DATA", "\x30\x80"s + oid + "\3"));
  EXPECT_FALSE(Encrypted("CL_TYPE_BINARY_DATA", "\x30\x80"s + oid + "\2")) << "signed";
}

}  // namespace
}  // namespace lazaret::scanner
