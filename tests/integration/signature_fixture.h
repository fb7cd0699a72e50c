#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "clamav/signature_files.h"
#include "clamav/signature_snapshot.h"
#include "integration/signature_runner.h"

namespace lazaret::tests {

// A line that finds `text` wherever it stands (ClamAV's "extended signature format").
inline std::string FindsText(std::string_view name, std::string_view text) {
  std::string line = fmt::format("{}:0:*:", name);
  for (const char c : text) line += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return line + "\n";
}

// A directory with a small set of signatures that finds EICAR and "needle one", and what keeps them loaded.
class SignatureTest : public testing::Test {
 protected:
  SignatureTest() {
    Put("eicar.ndb", FindsText("Test.Eicar", clamav::EicarTestFile()));
    Put("one.ndb", FindsText("Test.One", "needle one"));
  }

  // As freshclam does: under another name first.
  void Put(const std::string& name, std::string_view text) const {
    root_.Write("incoming/" + name, text);
    std::filesystem::create_directories(root_ / "signatures");
    std::filesystem::rename(root_ / "incoming" / name, root_ / "signatures" / name);
  }
  void Remove(const std::string& name) const { std::filesystem::remove(root_ / "signatures" / name); }
  // The set that the directory holds now.
  Digest Set() const { return clamav::DigestFiles(root_ / "signatures")->digest; }

  clamav::SignatureSettings Settings() const { return SignatureRunner::Settings(root_); }
  // Ready with the directory's set.
  SignatureRunner& Start() { return Start(Settings()); }
  SignatureRunner& Start(clamav::SignatureSettings settings, AskForTurn gate = nullptr) {
    runner_.reset();
    runner_ = std::make_unique<SignatureRunner>(std::move(settings), std::move(gate));
    EXPECT_TRUE(runner_->BecomesReady());
    return *runner_;
  }
  SignatureRunner& runner() { return *runner_; }
  // The set in use is that of the beginning, and scans with it work.
  void ExpectStill(const Digest& set) {
    EXPECT_TRUE(runner_->IsInUse(set));
    EXPECT_EQ(runner_->Says("a needle one here"), "infected");
    EXPECT_EQ(runner_->Says("nothing here"), "clean");
  }

  const TestDirectory root_;

 private:
  std::unique_ptr<SignatureRunner> runner_;
};

// Starts lazaret-scanner, unless a file in `root` says that it is to die or hang first, as a loader does that crashes
// or loops: "crash", "hang", "loop"; "slow" makes it start a second later. What a set of signatures must hold to have
// libclamav do so itself is, for good reason, not known.
inline std::filesystem::path WriteMoodyScanner(const TestDirectory& root) {
  const std::filesystem::path script = root / "moody-scanner";
  root.Write(
      "moody-scanner",
      fmt::format("#!/bin/sh\nif [ -e {0}/crash ]; then kill -SEGV $$; fi\nif [ -e {0}/hang ]; then kill -STOP $$; "
                  "fi\nif [ -e {0}/loop ]; then while :; do :; done; fi\nif [ -e {0}/slow ]; then sleep 1; fi\nexec "
                  "{1} \"$@\"\n",
                  root.path().native(), LAZARET_SCANNER_HOOKS));
  std::filesystem::permissions(script, std::filesystem::perms(0755));
  return script;
}

}  // namespace lazaret::tests
