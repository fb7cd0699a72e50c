// How changed signatures come into use: noticed, loaded beside or after those in use, moved over to, gone back from.
#include <sched.h>
#include <sys/resource.h>

#include <fstream>

#include "aio/deadline.h"
#include "integration/signature_fixture.h"

namespace lazaret::tests {
namespace {

namespace fs = std::filesystem;
using clamav::LoadPhase;
using clamav::RefusalKind;
using clamav::ReloadMode;
using clamav::SignatureStatus;
using testing::HasSubstr;

class SignatureChange : public SignatureTest {};

std::vector<std::string> Names(const Result<Verdict>& verdict) {
  return verdict ? verdict->signatures() : std::vector<std::string>{verdict.error().what};
}

TEST_F(SignatureChange, IsNoticedAndMovedOverTo) {
  SignatureRunner& runner = Start();
  const Digest first = Set();
  const EngineInfoPtr engine = runner.Current();
  ASSERT_NE(engine, nullptr);
  EXPECT_TRUE(runner.IsCurrent(*engine));
  EXPECT_EQ(runner.Status().last_mode, "start");
  EXPECT_EQ(runner.Says("a needle two here"), "clean");
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  const Digest second = Set();
  ASSERT_TRUE(runner.Becomes([&](const SignatureStatus& s) { return s.previous.has_value(); })) << runner.Reason();
  EXPECT_TRUE(runner.IsInUse(second));
  EXPECT_FALSE(runner.IsCurrent(*engine));
  EXPECT_TRUE(runner.IsCurrent(*runner.Current()));
  const auto verdict = runner.Scan("a needle two here");
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->kind(), VerdictKind::kInfected);
  EXPECT_EQ(verdict->record().engine->signature_set, second);
  const SignatureStatus status = runner.Status();
  EXPECT_EQ(status.current->digest, second);
  EXPECT_EQ(status.current->signatures, 3u);
  EXPECT_EQ(status.previous->digest, first);
  EXPECT_EQ(status.last_mode, "beside");
  EXPECT_FALSE(status.candidate);
  EXPECT_FALSE(status.last_refusal);
}

TEST_F(SignatureChange, IsNoticedWhateverItIs) {
  SignatureRunner& runner = Start();
  const auto becomes_in_use = [&] {
    const Digest set = Set();
    return Eventually([&] { return runner.IsInUse(set); });
  };
  Put("three.ndb", FindsText("Test.Three", "needle three"));
  EXPECT_TRUE(becomes_in_use()) << "added";
  std::ofstream(root_ / "signatures/three.ndb", std::ios::app) << FindsText("Test.More", "needle more");
  EXPECT_TRUE(becomes_in_use()) << "written in place";
  EXPECT_EQ(runner.Says("a needle more here"), "infected");
  Remove("one.ndb");
  EXPECT_TRUE(becomes_in_use()) << "removed: " << runner.Reason();
  EXPECT_EQ(runner.Says("a needle one here"), "clean");
  fs::rename(root_ / "signatures", root_ / "away");
  EXPECT_TRUE(runner.Refuses(RefusalKind::kEmpty));
  Put("eicar.ndb", FindsText("Test.Eicar", clamav::EicarTestFile()));
  Put("four.ndb", FindsText("Test.Four", "needle four"));
  EXPECT_TRUE(becomes_in_use()) << "another directory: " << runner.Reason();
  EXPECT_EQ(runner.Says("a needle four here"), "infected");
}

TEST_F(SignatureChange, IsNoticedByLookingNowAndThen) {
  auto settings = Settings();
  settings.check_interval = milliseconds(200);
  // A change that inotify does not show: behind a symbolic link.
  fs::create_directory(root_ / "elsewhere");
  root_.Write("elsewhere/two.ndb", FindsText("Test.Two", "needle two"));
  fs::create_symlink(root_ / "elsewhere/two.ndb", root_ / "signatures/two.ndb");
  SignatureRunner& runner = Start(settings);
  EXPECT_EQ(runner.Says("a needle two here"), "infected");
  root_.Write("elsewhere/new.ndb", FindsText("Test.Two", "needle too"));
  fs::rename(root_ / "elsewhere/new.ndb", root_ / "elsewhere/two.ndb");
  const Digest set = Set();
  EXPECT_TRUE(Eventually([&] { return runner.IsInUse(set); }));
  EXPECT_EQ(runner.Says("a needle too here"), "infected");
}

TEST_F(SignatureChange, OfNothingButTimesLoadsNothing) {
  auto settings = Settings();
  settings.check_interval = milliseconds(50);
  SignatureRunner& runner = Start(settings);
  const auto loaded_at = runner.Status().current->loaded_at;
  const auto looks = [&, before = runner.Status().looked_at] {
    return runner.Becomes([&](const SignatureStatus& s) { return s.looked_at && s.looked_at != before; });
  };
  ASSERT_TRUE(looks());
  Put("one.ndb", FindsText("Test.One", "needle one"));  // the same again
  root_.Write("signatures/freshclam.dat", "of no concern");
  for (int i = 0; i < 5; ++i) {
    const auto before = runner.Status().looked_at;
    ASSERT_TRUE(runner.Becomes([&](const SignatureStatus& s) { return s.looked_at != before; }));
  }
  EXPECT_EQ(runner.Status().current->loaded_at, loaded_at);
  const auto change = runner.Reload();
  ASSERT_TRUE(change) << change.error().what;
  EXPECT_FALSE(change->changed);
}

TEST_F(SignatureChange, AllowsAtOnceWhatIsAllowed) {
  SignatureRunner& runner = Start();
  ASSERT_EQ(runner.Says("a needle one here"), "infected");
  Put("allow.ign2", "Test.One\n");
  EXPECT_TRUE(Eventually([&] { return runner.Says("a needle one here") == "clean"; })) << runner.Reason();
  Remove("allow.ign2");
  EXPECT_TRUE(Eventually([&] { return runner.Says("a needle one here") == "infected"; }));
  // One content, by its SHA-256: sfp has digest:size:name.
  const std::string content = "this needle one is harmless";
  Put("allow.sfp", fmt::format("{}:{}:Allowed\n", Sha256::Of(AsBytes(content)).Hex(), content.size()));
  EXPECT_TRUE(Eventually([&] { return runner.Says(content) == "clean"; })) << runner.Reason();
  EXPECT_EQ(runner.Says("this needle one is not"), "infected");
}

TEST_F(SignatureChange, LetsTheScansOfTheOldSetEnd) {
  SignatureRunner& runner = Start();
  const Digest first = Set();
  auto slow = runner.StartScan("LAZARET-TEST-HOOK slow 1500\na needle two here");
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  const Digest second = Set();
  ASSERT_TRUE(Eventually([&] { return runner.IsInUse(second); }));
  EXPECT_EQ(runner.Says("a needle two here"), "infected") << "while the old set still scans";
  const auto verdict = slow.get();
  ASSERT_TRUE(verdict) << verdict.error().what;
  EXPECT_EQ(verdict->kind(), VerdictKind::kClean);
  EXPECT_EQ(verdict->record().engine->signature_set, first) << "the set that it was made with";
  EXPECT_TRUE(Eventually([] { return ChildrenOf(::getpid()).size() == 1; })) << "the old zygote ends then";
}

TEST_F(SignatureChange, SharesNoTemporaryDirectories) {
  // Without mounts of their own, where both sets could meet; libclamav takes a clash of names for a clean scan.
  root_.Write("scanner", fmt::format("#!/bin/sh\nexec {} \"$@\" --no-mounts\n", LAZARET_SCANNER_HOOKS));
  fs::permissions(root_ / "scanner", fs::perms(0755));
  auto settings = Settings();
  settings.loader.program = root_ / "scanner";
  SignatureRunner& runner = Start(settings);
  auto slow = runner.StartScan("LAZARET-TEST-HOOK slow 1500\na needle one here");
  ASSERT_TRUE(Eventually([&] { return fs::exists(root_ / "data/scanners/0/0"); }));
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  const Digest second = Set();
  ASSERT_TRUE(Eventually([&] { return runner.IsInUse(second); }));
  EXPECT_TRUE(fs::exists(root_ / "data/scanners/1/0"));
  EXPECT_TRUE(fs::exists(root_ / "data/scanners/0/0")) << "the old set still scans";
  EXPECT_THAT(Names(slow.get()), testing::ElementsAre("Test.One.UNOFFICIAL"));
}

TEST_F(SignatureChange, DrainsWhenToldTo) {
  auto settings = Settings();
  settings.change.mode = ReloadMode::kDrain;
  settings.loader.program = WriteMoodyScanner(root_);
  SignatureRunner& runner = Start(settings);
  const Digest first = Set();
  root_.Write("slow", "");
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  ASSERT_TRUE(runner.Becomes(
      [](const SignatureStatus& s) { return s.candidate && s.candidate->phase == LoadPhase::kLoading; }));
  EXPECT_LE(ChildrenOf(::getpid()).size(), 1u) << "never two at once";
  EXPECT_TRUE(runner.IsInUse(first)) << "cached verdicts of it are still fresh";
  // It waits for longer than it may take itself.
  const auto verdict = runner.Scan("a needle two here", milliseconds(500));
  EXPECT_THAT(Names(verdict), testing::ElementsAre("Test.Two.UNOFFICIAL"));
  EXPECT_EQ(runner.Status().last_mode, "drain");
}

TEST_F(SignatureChange, DrainedForASetThatIsNoGoodGoesBack) {
  auto settings = Settings();
  settings.change.mode = ReloadMode::kDrain;
  SignatureRunner& runner = Start(settings);
  const Digest first = Set();
  Put("bad.ndb", "this is no signature\n");
  while (!runner.Status().last_refusal) {
    std::vector<std::future<Result<Verdict>>> scans;
    for (int i = 0; i < 10; ++i) scans.push_back(runner.StartScan("a needle one here"));
    for (auto& scan : scans) EXPECT_THAT(Names(scan.get()), testing::ElementsAre("Test.One.UNOFFICIAL"));
  }
  EXPECT_EQ(runner.Status().last_refusal->why.kind, RefusalKind::kDoesNotLoad);
  ExpectStill(first);
}

TEST_F(SignatureChange, TakesTheModeThatThereIsMemoryFor) {
  auto settings = Settings();
  settings.change.memory_root = root_ / "system";
  const auto available = [&](std::uint64_t mib) {
    root_.Write("system/proc/meminfo", fmt::format("MemAvailable: {} kB\n", mib * 1024));
  };
  settings.change.memory_reserve = 256 << 20;
  available(2048);
  SignatureRunner& runner = Start(settings);
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  ASSERT_TRUE(runner.Reload());
  EXPECT_EQ(runner.Status().last_mode, "beside");
  available(200);
  Put("three.ndb", FindsText("Test.Three", "needle three"));
  ASSERT_TRUE(runner.Reload());
  EXPECT_EQ(runner.Status().last_mode, "drain");
  EXPECT_EQ(runner.Says("a needle three here"), "infected");
}

TEST_F(SignatureChange, IsRefusedWhenThereIsNoMemoryForIt) {
  auto settings = Settings();
  settings.change.mode = ReloadMode::kBeside;
  settings.change.memory_root = root_ / "system";
  root_.Write("system/proc/meminfo", "MemAvailable: 1 kB\n");
  SignatureRunner& runner = Start(settings);
  const Digest first = Set();
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  const Digest second = Set();
  ASSERT_TRUE(runner.Refuses(RefusalKind::kNoMemory));
  EXPECT_THAT(runner.Reason(), HasSubstr("MemAvailable"));
  ExpectStill(first);
  root_.Write("system/proc/meminfo", "MemAvailable: 2000000 kB\n");
  EXPECT_TRUE(Eventually([&] { return runner.IsInUse(second); })) << "it is tried again by itself";
}

TEST_F(SignatureChange, WaitsForItsTurn) {
  std::promise<void> granted;
  auto wait = std::make_shared<std::shared_future<void>>(granted.get_future().share());
  auto given_back = std::make_shared<std::atomic<bool>>(false);
  struct Turn : LoadTurn {
    explicit Turn(std::shared_ptr<std::atomic<bool>> at_end) : gone(std::move(at_end)) {}
    ~Turn() override { *gone = true; }
    std::shared_ptr<std::atomic<bool>> gone;
  };
  std::atomic<int> asked = 0;
  SignatureRunner& runner = Start(
      Settings(),
      [&](Digest, std::function<void(const std::string&)> on_wait) -> aio::Task<Result<std::unique_ptr<LoadTurn>>> {
        on_wait("another");
        if (asked++ == 0) co_return Fail(Errc::kUnavailable, "the others cannot be asked");
        while (wait->wait_for(seconds(0)) != std::future_status::ready) {
          co_await aio::SleepUntil(std::chrono::steady_clock::now() + milliseconds(10));
        }
        co_return std::make_unique<Turn>(given_back);
      });
  EXPECT_EQ(asked, 0) << "nothing is in use yet, and waiting would help nobody";
  const Digest first = Set();
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  const Digest second = Set();
  EXPECT_TRUE(runner.Refuses(RefusalKind::kNoTurn));
  ASSERT_TRUE(runner.Becomes(
      [](const SignatureStatus& s) { return s.candidate && s.candidate->phase == LoadPhase::kWaitingForTurn; }));
  ExpectStill(first);
  EXPECT_FALSE(*given_back);
  granted.set_value();
  EXPECT_TRUE(Eventually([&] { return runner.IsInUse(second); }));
  EXPECT_TRUE(Eventually([&] { return given_back->load(); }));
}

TEST_F(SignatureChange, CanBeGoneBackFrom) {
  SignatureRunner& runner = Start();
  EXPECT_EQ(runner.Rollback().error().code, Errc::kNotFound);
  const Digest first = Set();
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  const Digest second = Set();
  ASSERT_TRUE(Eventually([&] { return runner.IsInUse(second) && runner.Status().previous; }));
  const auto change = runner.Rollback("it finds too much");
  ASSERT_TRUE(change) << change.error().what;
  EXPECT_EQ(change->engine->signature_set, first);
  EXPECT_EQ(runner.Says("a needle two here"), "clean");
  const auto pinned = [&] {
    const auto status = runner.Status();
    return status.pin && status.pin->refused == second && status.pin->reason == "it finds too much";
  };
  EXPECT_TRUE(pinned());
  EXPECT_EQ(runner.Rollback().error().code, Errc::kNotFound) << "one is kept, not two";
  const auto refused = runner.Reload();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, HasSubstr("it finds too much"));

  SignatureRunner& restarted = Start();
  EXPECT_TRUE(restarted.IsInUse(first)) << "also after a restart";
  EXPECT_EQ(restarted.Says("a needle two here"), "clean");
  ASSERT_TRUE(restarted.Status().pin);

  Put("three.ndb", FindsText("Test.Three", "needle three"));
  const Digest third = Set();
  EXPECT_TRUE(Eventually([&] { return restarted.IsInUse(third) && !restarted.Status().pin; }));
  EXPECT_EQ(restarted.Says("a needle two here"), "infected");
}

TEST_F(SignatureChange, InPlaceSpoilsOnlyTheFirstWayBack) {
  SignatureRunner& runner = Start();
  const auto write = [&](const std::string& text) {
    std::ofstream(root_ / "signatures/one.ndb") << FindsText("Test.One", "needle one") << FindsText("Test.X", text);
    const Digest set = Set();
    return Eventually([&] { return runner.IsInUse(set) && runner.Status().previous; });
  };
  ASSERT_TRUE(write("needle x")) << runner.Reason();
  const auto spoilt = runner.Rollback();
  ASSERT_FALSE(spoilt);
  EXPECT_THAT(spoilt.error().what, HasSubstr("written into"));
  EXPECT_EQ(runner.Says("a needle x here"), "infected") << "it stays as it is";
  const Digest second = Set();
  ASSERT_TRUE(write("needle y")) << runner.Reason();
  ASSERT_TRUE(Eventually([&] { return runner.Status().previous->digest == second; }));
  const auto back = runner.Rollback();
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(runner.Says("a needle x here"), "infected");
}

TEST_F(SignatureChange, LoadsAtALowPriority) {
  if (!clamav::CanLowerNice()) GTEST_SKIP() << "a nice value that is raised here stays";
  auto settings = Settings();
  settings.loader.program = WriteMoodyScanner(root_);
  settings.loader.nice = 7;
  SignatureRunner& runner = Start(settings);
  const auto first = ChildrenOf(::getpid());
  root_.Write("slow", "");
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  const Digest second = Set();
  pid_t loader = 0;
  ASSERT_TRUE(Eventually([&] {
    for (const pid_t child : ChildrenOf(::getpid())) {
      if (child != first.at(0) && ::getpriority(PRIO_PROCESS, static_cast<id_t>(child)) == 7) loader = child;
    }
    return loader != 0;
  }));
  ASSERT_TRUE(Eventually([&] { return runner.IsInUse(second); }));
  for (const pid_t scanner : ChildrenOf(loader)) {
    EXPECT_EQ(::getpriority(PRIO_PROCESS, static_cast<id_t>(scanner)), 0);
    EXPECT_EQ(::sched_getscheduler(scanner), SCHED_OTHER);
  }
  EXPECT_EQ(::getpriority(PRIO_PROCESS, static_cast<id_t>(loader)), 0);
}

TEST_F(SignatureChange, ThatWasGoneBackFromCanBeForced) {
  SignatureRunner& runner = Start();
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  const Digest second = Set();
  ASSERT_TRUE(runner.Reload());
  ASSERT_TRUE(runner.Rollback());
  ASSERT_TRUE(runner.Reload(true));
  EXPECT_TRUE(runner.IsInUse(second));
  EXPECT_FALSE(runner.Status().pin);
}

TEST_F(SignatureChange, RaisesAnAlarmWhenDetectionsJump) {
  auto settings = Settings();
  settings.alarm = {.ratio = 10, .least = 5, .window = std::chrono::hours(1)};
  for (const bool goes_back : {false, true}) {
    settings.roll_back_on_alarm = goes_back;
    SignatureRunner& runner = Start(settings);
    const Digest first = Set();
    for (int i = 0; i < 100; ++i) ASSERT_EQ(runner.Says(fmt::format("invoice number {}", i)), "clean");
    Put("wide.ndb", FindsText("Test.Wide", "invoice"));
    ASSERT_TRUE(runner.Reload());
    const Digest second = Set();
    ASSERT_TRUE(runner.IsInUse(second));
    for (int i = 0; i < 4; ++i) runner.Says(fmt::format("invoice number {}", i));
    EXPECT_FALSE(runner.Status().last_jump);
    runner.Says("invoice number 4");
    ASSERT_TRUE(runner.Status().last_jump);
    EXPECT_EQ(runner.Status().last_jump->digest, second);
    EXPECT_EQ(runner.Status().last_jump->detections_after, 5u);
    if (goes_back) {
      EXPECT_TRUE(Eventually([&] { return runner.IsInUse(first) && runner.Status().pin; }));
      EXPECT_THAT(runner.Status().pin->reason, HasSubstr("jumped"));
      EXPECT_EQ(runner.Says("invoice number 1"), "clean");
    } else {
      EXPECT_TRUE(runner.IsInUse(second));
    }
    Remove("wide.ndb");
    ASSERT_TRUE(Eventually([&] { return runner.IsInUse(first); }));
  }
}

TEST_F(SignatureChange, SurvivesTheDeathOfTheZygote) {
  SignatureRunner& runner = Start();
  const Digest first = Set();
  const auto zygotes = ChildrenOf(::getpid());
  ASSERT_EQ(zygotes.size(), 1u);
  ASSERT_TRUE(ProcessHandle(zygotes[0]).Kill());
  EXPECT_TRUE(Eventually([&] {
    const auto now = ChildrenOf(::getpid());
    return now.size() == 1 && now != zygotes && runner.Current() != nullptr;
  }));
  ExpectStill(first);
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  EXPECT_TRUE(Eventually([&] { return runner.Says("a needle two here") == "infected"; }));
}

TEST_F(SignatureChange, DoesNotKeepTheManagerFromReplacingADeadZygote) {
  auto settings = Settings();
  settings.loader.program = WriteMoodyScanner(root_);
  SignatureRunner& runner = Start(settings);
  const Digest first = Set();
  const auto zygotes = ChildrenOf(::getpid());
  ASSERT_EQ(zygotes.size(), 1u);
  root_.Write("hang", "");
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  ASSERT_TRUE(runner.Becomes(
      [](const SignatureStatus& s) { return s.candidate && s.candidate->phase == LoadPhase::kLoading; }));
  // The phase begins before its process does, which is a copy of this one at first, and this one waits for it then.
  std::vector<pid_t> loaders;
  ASSERT_TRUE(Eventually([&] {
    loaders = ChildrenOf(::getpid());
    std::erase(loaders, zygotes[0]);
    return loaders.size() == 1 &&
           fs::read_symlink(fmt::format("/proc/{}/exe", loaders[0])) != fs::read_symlink("/proc/self/exe");
  }));
  ASSERT_TRUE(Halt(loaders[0]));  // which it does itself, too
  fs::remove(root_ / "hang");
  const EngineInfoPtr engine = runner.Current();
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(ProcessHandle(zygotes[0]).Kill());
  EXPECT_TRUE(Eventually([&] { return runner.Current() == nullptr; }));
  EXPECT_FALSE(runner.IsCurrent(*engine));
  EXPECT_TRUE(Eventually([&] { return runner.IsInUse(first); }));
  EXPECT_TRUE(Eventually([&] { return runner.Says("a needle two here") == "infected"; })) << "and it goes on then";
}

TEST_F(SignatureChange, WithdrawnAndBrokenInTurnIsNotTakenForAnotherSet) {
  SignatureRunner& runner = Start();
  const Digest first = Set();
  Put("two.ndb", FindsText("Test.Two", "needle two"));
  ASSERT_TRUE(runner.Reload());
  ASSERT_TRUE(runner.Rollback());
  Put("bad.ndb", "this is no signature\n");
  ASSERT_FALSE(runner.Reload());
  ASSERT_TRUE(runner.IsInUse(first));
  Remove("bad.ndb");  // the set that was gone back from again
  EXPECT_FALSE(runner.Reload());
  EXPECT_TRUE(runner.IsInUse(first));
  EXPECT_TRUE(runner.Status().pin);
}

}  // namespace
}  // namespace lazaret::tests
