// Signatures that are no good: each is refused with its reason, and scanning goes on with those of before.
#include <fcntl.h>

#include <fstream>
#include <thread>

#include "chaos/small_disk.h"
#include "integration/signature_fixture.h"

namespace lazaret::tests {
namespace {

namespace fs = std::filesystem;
using clamav::RefusalKind;
using clamav::SignatureStatus;
using testing::HasSubstr;

class SignatureRefusal : public SignatureTest {
 protected:
  // Refused for that reason, also when it is asked for; the set of the beginning stays, and a good one is taken later.
  void ExpectRefused(const Digest& first, RefusalKind kind, const std::string& word) {
    EXPECT_TRUE(runner().Refuses(kind)) << runner().Reason();
    EXPECT_THAT(runner().Reason(), HasSubstr(word));
    ExpectStill(first);
    const auto asked = runner().Reload();
    ASSERT_FALSE(asked);
    EXPECT_THAT(asked.error().what, HasSubstr(word));
    ExpectStill(first);
    EXPECT_LE(KeptSets(), 2u) << "what was refused is not kept";
  }
  void ExpectRecovery() {
    Put("good.ndb", FindsText("Test.Good", "needle good"));
    const Digest set = Set();
    EXPECT_TRUE(Eventually([&] { return runner().IsInUse(set); })) << runner().Reason();
    EXPECT_EQ(runner().Says("a needle good here"), "infected");
  }
  std::size_t KeptSets() const {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(root_ / "data/signatures")) count += entry.is_directory() ? 1 : 0;
    return count;
  }
};

TEST_F(SignatureRefusal, OfADatabaseThatIsGarbage) {
  Start();
  const Digest first = Set();
  Put("daily.cvd", "ClamAV-VDB:23 Nov 2026 07-00 +0000:28129:355901:90:0123456789abcdef" + std::string(600, 'x'));
  ExpectRefused(first, RefusalKind::kDoesNotLoad, "cannot load signatures");
  Remove("daily.cvd");
  ExpectRecovery();
}

TEST_F(SignatureRefusal, OfATextThatIsCutShort) {
  Start();
  const Digest first = Set();
  const std::string line = FindsText("Test.Cut", "a longer text to look for");
  Put("cut.ndb", line + line.substr(0, 10));
  ExpectRefused(first, RefusalKind::kDoesNotLoad, "cannot load signatures");
  EXPECT_FALSE(runner().Status().last_refusal->retry_at) << "it will not get better by itself";
  Remove("cut.ndb");
  ExpectRecovery();
}

TEST_F(SignatureRefusal, OfWhatMatchesEverything) {
  Start();
  const Digest first = Set();
  // "Subsignature 0 is found exactly 0 times": in any file without that text.
  Put("all.ldb", "Test.All;Engine:51-255,Target:0;0=0;6465616462656566\n");
  ExpectRefused(first, RefusalKind::kMatchesClean, "Test.All");
  Remove("all.ldb");
  ExpectRecovery();
}

TEST_F(SignatureRefusal, OfAnEmptyDirectory) {
  Start();
  const Digest first = Set();
  Remove("one.ndb");
  Remove("eicar.ndb");
  ExpectRefused(first, RefusalKind::kEmpty, "no signatures");
  Put("eicar.ndb", FindsText("Test.Eicar", clamav::EicarTestFile()));
  ExpectRecovery();
}

TEST_F(SignatureRefusal, OfASetThatIsMuchSmaller) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += FindsText(fmt::format("Test.Number{}", i), fmt::format("needle number {}", i));
  Put("many.ndb", many);
  Start();
  const Digest first = Set();
  Remove("many.ndb");
  ExpectRefused(first, RefusalKind::kTooSmall, "only 2 signatures");
  ASSERT_TRUE(runner().Reload(true)) << "an operator may insist";
  EXPECT_TRUE(runner().IsInUse(Set()));
}

TEST_F(SignatureRefusal, OfASetThatHasLostEicar) {
  Start();
  const Digest first = Set();
  Put("eicar.ndb", FindsText("Test.Other", "needle other"));
  ExpectRefused(first, RefusalKind::kMissesSample, "EICAR");
  Put("eicar.ndb", FindsText("Test.Eicar", clamav::EicarTestFile()));
  ExpectRecovery();
}

TEST_F(SignatureRefusal, ByTheOperatorsOwnSamples) {
  auto settings = Settings();
  root_.Write("clean.doc", "an important document");
  root_.Write("infected.bin", "a needle one here");
  settings.loader.probe = {.clean = {root_ / "clean.doc", root_ / "missing"}, .infected = {root_ / "infected.bin"}};
  Start(settings);
  const Digest first = Set();
  Put("wide.ndb", FindsText("Test.Wide", "important"));
  ExpectRefused(first, RefusalKind::kMatchesClean, "clean.doc: Test.Wide");
  Remove("wide.ndb");
  Put("one.ndb", FindsText("Test.One", "needle won"));
  ExpectRefused(first, RefusalKind::kMissesSample, "infected.bin");
}

TEST_F(SignatureRefusal, OfPartsThatLibclamavCannotLoad) {
  Start();
  const Digest first = Set();
  Put("rules.yara",
      "rule Good { strings: $a = \"needle yara\" condition: $a }\n"
      "rule Bad { strings: $a = \"needle bad\" condition: $a and pe.is_dll() and nosuchthing }\n");
  ExpectRefused(first, RefusalKind::kLoadErrors, "libclamav complains");
  ASSERT_TRUE(runner().Reload(true));
  EXPECT_EQ(runner().Says("a needle yara here"), "infected");
  EXPECT_FALSE(runner().Status().load_errors.empty());
  ExpectRecovery();
}

TEST_F(SignatureRefusal, OfWhatCrashesTheLoader) {
  auto settings = Settings();
  settings.loader.program = WriteMoodyScanner(root_);
  Start(settings);
  const Digest first = Set();
  root_.Write("crash", "");
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  ExpectRefused(first, RefusalKind::kCrashed, "SIGSEGV");
  EXPECT_TRUE(runner().Status().last_refusal->retry_at);
  fs::remove(root_ / "crash");
  EXPECT_TRUE(Eventually([&] { return runner().Says("a needle two here") == "infected"; })) << "tried again by itself";
}

TEST_F(SignatureRefusal, OfWhatHangsTheLoader) {
  auto settings = Settings();
  settings.loader.program = WriteMoodyScanner(root_);
  settings.loader.load_timeout = seconds(2);
  for (const char* mood : {"hang", "loop"}) {
    Start(settings);
    const Digest first = Set();
    root_.Write(mood, "");
    const std::string name = std::string(mood) + ".ndb";
    const std::string needle = std::string("needle ") + mood;
    Put(name, FindsText("Test.Two", needle));
    ASSERT_TRUE(runner().Becomes(
        [](const SignatureStatus& s) { return s.candidate && s.candidate->phase == clamav::LoadPhase::kLoading; }));
    ExpectStill(first);  // while it hangs
    ExpectRefused(first, RefusalKind::kTooSlow, "did not end within 2 s");
    fs::remove(root_ / mood);
    EXPECT_TRUE(Eventually([&] { return runner().Says("a " + needle + " here") == "infected"; }));
    EXPECT_TRUE(Eventually([] { return ChildrenOf(::getpid()).size() == 1; })) << "none of those that hung is left";
  }
}

TEST_F(SignatureRefusal, OfFilesThatAreChangedWhileTheyAreRead) {
  auto settings = Settings();
  settings.retry_pause = milliseconds(500);
  // So many that reading all of them lasts longer than a writer has to wait for a core.
  for (int i = 0; i < 300; ++i)
    Put(fmt::format("other-{}.ndb", i), FindsText("Test.Other", fmt::format("other {}", i)));
  for (const bool in_place : {true, false}) {
    Start(settings);
    const Digest first = Set();
    std::jthread writer([&](std::stop_token stop) {
      for (int i = 0; !stop.stop_requested(); ++i) {
        const std::string text = FindsText("Test.Two", fmt::format("needle two {}", i));
        if (in_place) {
          std::ofstream(root_ / "signatures/two.ndb") << text;
        } else {
          Put("two.ndb", text);
        }
        // Whoever sleeps is given a core when he wakes; whoever spins waits for one, and slows down those who read.
        Pause(milliseconds(1));
      }
    });
    EXPECT_TRUE(runner().Refuses(RefusalKind::kChanging)) << runner().Reason();
    EXPECT_THAT(runner().Reason(), HasSubstr("were changed while they were"));
    // By luck a moment's set may have been read in one piece; then it is that one, in one piece.
    EXPECT_EQ(runner().Says("a needle one here"), "infected");
    writer.request_stop();
    writer.join();
    const Digest last = Set();
    EXPECT_TRUE(Eventually([&] { return runner().IsInUse(last); })) << runner().Reason();
    Remove("two.ndb");
    EXPECT_TRUE(Eventually([&] { return runner().IsInUse(first); }));
  }
}

TEST_F(SignatureRefusal, WhenTheDiskIsFull) {
  const SmallDisk disk(root_ / "small", 1 << 20);
  if (!disk.is_mounted()) GTEST_SKIP() << "only who may mount can have a full disk";
  auto settings = Settings();
  settings.state_directory = root_ / "small/signatures";
  Start(settings);
  const Digest first = Set();
  disk.Fill();
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  const Digest second = Set();
  EXPECT_TRUE(runner().Refuses(RefusalKind::kNoDisk)) << runner().Reason();
  EXPECT_THAT(runner().Reason(), HasSubstr("No space left"));
  ExpectStill(first);
  EXPECT_TRUE(Eventually([&] { return !fs::exists(root_ / "small/signatures/incoming"); })) << "nothing is left behind";
  disk.Relieve();
  EXPECT_TRUE(Eventually([&] { return runner().IsInUse(second); })) << "tried again by itself";
}

TEST_F(SignatureRefusal, OverARestartLeavesTheSetThatWasInUse) {
  Start();
  const Digest first = Set();
  Start();  // the first has ended, with its set kept
  Put("bad.ndb", "this is no signature\n");
  SignatureRunner& runner = Start();
  ExpectStill(first);
  EXPECT_TRUE(runner.Refuses(RefusalKind::kDoesNotLoad));
  fs::remove_all(root_ / "signatures");
  Start();
  ExpectStill(first);
  Put("eicar.ndb", FindsText("Test.Eicar", clamav::EicarTestFile()));
  ExpectRecovery();
}

TEST_F(SignatureRefusal, IsForetold) {
  auto settings = Settings();
  SignatureRunner& runner = Start(settings);
  auto loader = settings.loader;
  loader.temp_directory = root_ / "check";
  const auto good = runner.Check(root_ / "signatures", loader);
  ASSERT_TRUE(good) << good.error().what;
  EXPECT_FALSE(good->refusal);
  EXPECT_EQ(good->engine->signatures, 2u);
  EXPECT_EQ(good->files, 2u);
  EXPECT_EQ(good->digest, Set());
  EXPECT_TRUE(good->finds_eicar);

  root_.Write("other/all.ldb", "Test.All;Engine:51-255,Target:0;0=0;6465616462656566\n");
  const auto matching = runner.Check(root_ / "other", loader);
  ASSERT_TRUE(matching && matching->refusal);
  EXPECT_EQ(matching->refusal->kind, RefusalKind::kMatchesClean);
  root_.Write("other/all.ldb", "garbage\n");
  const auto broken = runner.Check(root_ / "other", loader);
  ASSERT_TRUE(broken && broken->refusal);
  EXPECT_EQ(broken->refusal->kind, RefusalKind::kDoesNotLoad);
  EXPECT_FALSE(runner.Check(root_ / "nowhere", loader));
  EXPECT_EQ(ChildrenOf(::getpid()).size(), 1u) << "its processes have gone";
  ExpectStill(Set());
}

}  // namespace
}  // namespace lazaret::tests
