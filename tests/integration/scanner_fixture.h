#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "integration/scanner_process.h"
#include "integration/test_directory.h"

namespace lazaret::tests {

inline constexpr std::string_view kMarker = "lazaret-test-marker-f4b1c27d90";
inline constexpr const char* kTestFiles = "/usr/share/clamav-testfiles";

// In pieces, so that this file is not taken for it.
inline std::string Eicar() {
  return std::string("X5O!P%@AP[4\\PZX54(P^)7CC)7}$") + "EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*";
}

inline std::string ToHex(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : text) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

// Text without any signature in it; not compressible to nothing, not repeating.
inline std::string PlainText(std::size_t size) {
  std::string text;
  for (unsigned i = 1; text.size() < size; i = i * 1664525u + 1013904223u) text += "line " + std::to_string(i) + "\n";
  text.resize(size);
  return text;
}

class ScannerTest : public testing::Test {
 protected:
  ScannerTest() {
    scratch_.MakeDirectory("tmp");
    scratch_.MakeDirectory("signatures");
    scratch_.Write("signatures/test.ndb",
                       "Test.Eicar:0:0:" + ToHex(Eicar()) + "\nTest.Marker:0:*:" + ToHex(kMarker) + "\n");
    scratch_.Write("signatures/test.hdb", "aa15bcf478d165efd2065190eb473bcb:544:ClamAV-Test-File\n");
    request_.signature_directory = (scratch_ / "signatures").native();
    request_.temp_directory = (scratch_ / "tmp").native();
    request_.slots = 4;
    request_.temp_bytes = 64 << 20;
    request_.memory_bytes = 1ull << 30;
    request_.max_file_bytes = 32 << 20;
    request_.max_scan_bytes = 128 << 20;
    request_.max_recursion = 17;
    request_.max_files = 10'000;
  }

  // A zygote that has loaded `request_`.
  ScannerProcess& Zygote(const char* executable = LAZARET_SCANNER) {
    zygote_ = std::make_unique<ScannerProcess>(executable, options_);
    auto ready = zygote_->Load(request_);
    if (!ready) throw std::runtime_error(ready.error().what);
    ready_ = *std::move(ready);
    return *zygote_;
  }

  // A scanner in slot 0 of a new zygote.
  Scanner OneScanner(const char* executable = LAZARET_SCANNER) {
    auto scanner = Zygote(executable).Fork(0);
    if (!scanner) throw std::runtime_error(scanner.error().what);
    return *std::move(scanner);
  }

  // Plain directories instead of tmpfs, as on a system that allows no mounts.
  void UsePlainTempDirectories() { options_ = {"--no-mounts"}; }

  TestDirectory scratch_;
  std::vector<std::string> options_;  // of the executable
  wire::LoadRequest request_;
  wire::Ready ready_;
  std::unique_ptr<ScannerProcess> zygote_;
};

MATCHER(IsClean, "") {
  if (!arg) {
    *result_listener << arg.error().what;
    return false;
  }
  *result_listener << "kind " << static_cast<int>(arg->kind) << " reason " << static_cast<int>(arg->reason) << " "
                   << arg->detail << " " << testing::PrintToString(arg->signatures);
  return arg->kind == wire::OutcomeKind::kClean;
}

MATCHER_P(IsInfectedWith, name, "") {
  if (!arg) {
    *result_listener << arg.error().what;
    return false;
  }
  *result_listener << "kind " << static_cast<int>(arg->kind) << " reason " << static_cast<int>(arg->reason) << " "
                   << arg->detail << " " << testing::PrintToString(arg->signatures);
  return arg->kind == wire::OutcomeKind::kInfected && arg->signatures == std::vector<std::string>{name};
}

MATCHER_P(IsIncomplete, reason, "") {
  if (!arg) {
    *result_listener << arg.error().what;
    return false;
  }
  *result_listener << "kind " << static_cast<int>(arg->kind) << " reason " << static_cast<int>(arg->reason) << " "
                   << arg->detail << " " << testing::PrintToString(arg->signatures);
  return arg->kind == wire::OutcomeKind::kIncomplete && arg->reason == reason;
}

}  // namespace lazaret::tests
