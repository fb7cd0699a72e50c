// Workers are killed all the time and Redis once, while files are submitted to two API servers: what was acknowledged
// ends with the right verdict, and nothing is scanned twice but what killed workers had under way.
//
// It takes (LAZARET_ is the prefix of the server's own settings)
//   FLEET_FILES    files that are submitted (default 400; the full run has 5000)
//   FLEET_PAUSE    milliseconds between two kills (default 400; the full run has 1000)
//   FLEET_SEED     of everything that is random (default: another one each time; it is printed)
#include <algorithm>
#include <chrono>
#include <future>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "chaos/fleet_load.h"

namespace lazaret::tests {
namespace {

constexpr std::size_t kWorkers = 3;

class FleetKill : public FleetTest, public testing::WithParamInterface<const char*> {
 protected:
  FleetKill() {
    std::cout << fmt::format("{} files, a kill every {} ms, appendfsync {}, FLEET_SEED={}\n", files_, pause_.count(),
                             GetParam(), seed_);
  }

  // On the thread of the test: the kernel kills what a thread has started when that thread ends.
  void KillAWorker() {
    FleetNode& worker = *nodes()[random_() % kWorkers];
    worker.Kill();
    worker.StartAgain();
    ++kills_;
  }

  struct Repeats {
    std::size_t contents = 0;
    std::size_t scans = 0;
    std::size_t by_the_killed = 0;  // scans of contents that were scanned again, as one of the last of a killed worker
    std::size_t others = 0;
  };
  // Of each content all scans but one are repeats. One is put down to a kill when the content is among the last ones
  // that a killed worker had scanned: its job, or its verdict, had not reached Redis.
  Repeats CountRepeats() const {
    constexpr std::size_t kLast = 2 * kSlots;
    struct Count {
      std::size_t all = 0;
      std::size_t last_of_killed = 0;
    };
    std::map<std::string, Count> counts;
    for (std::size_t i = 0; i < kWorkers; ++i) {
      const FleetNode& worker = *nodes()[i];
      for (std::size_t life = 0; life < worker.lives(); ++life) {
        const auto scans = worker.ScansOf(life);
        const bool was_killed = life + 1 < worker.lives();
        for (std::size_t k = 0; k < scans.size(); ++k) {
          Count& count = counts[scans[k]];
          ++count.all;
          if (was_killed && k + kLast >= scans.size()) ++count.last_of_killed;
        }
      }
    }
    Repeats repeats{.contents = counts.size()};
    for (const auto& [id, count] : counts) {
      repeats.scans += count.all;
      const std::size_t explained = std::min(count.all - 1, count.last_of_killed);
      repeats.by_the_killed += explained;
      repeats.others += count.all - 1 - explained;
    }
    return repeats;
  }

  const std::uint64_t files_ = FromEnvironment("FLEET_FILES", 400);
  const milliseconds pause_{FromEnvironment("FLEET_PAUSE", 400)};
  const std::uint64_t seed_ = FromEnvironment("FLEET_SEED", std::random_device{}());
  RedisProcess redis_{{.arguments = {"--appendonly", "yes", "--appendfsync", GetParam()}}};
  std::mt19937_64 random_{seed_};
  std::size_t kills_ = 0;
};

TEST_P(FleetKill, WhatWasPromisedIsKeptAndScannedOnce) {
  const std::string url = WithOptions(redis_.Url());
  for (std::size_t i = 0; i < kWorkers; ++i) Start(url, "worker");
  FleetNode& one = Start(url, "api");
  FleetNode& other = Start(url, "api");
  const auto begin = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };

  FleetLoad load(seed_, {one.port(), other.port()});
  load.Begin(0, static_cast<unsigned>(files_));
  double submitted_s = 0;
  auto verified = std::async(std::launch::async, [&] {
    load.Join();
    submitted_s = elapsed();
    return load.Verify();
  });
  bool restarted = false;
  do {
    std::this_thread::sleep_for(pause_);
    KillAWorker();
    if (!restarted && load.acknowledged() >= files_ / 2) {
      redis_.Kill();
      redis_.Start();
      restarted = true;
    }
  } while (verified.wait_for(seconds(0)) != std::future_status::ready);
  const auto tally = verified.get();
  const double done_s = elapsed();

  EXPECT_TRUE(restarted);
  EXPECT_EQ(tally.wrong + tally.unfinished, 0);
  // A killed Redis leaves to the kernel what it has written, with either setting; with everysec it may write late.
  if (GetParam() == std::string("always")) EXPECT_THAT(tally.lost, testing::IsEmpty());
  EXPECT_EQ(tally.answered + tally.clean + tally.infected + tally.lost.size(), files_);

  // The logs may come a little later than the verdicts.
  EXPECT_TRUE(Eventually([&] { return CountRepeats().contents + tally.lost.size() >= files_; }));
  const Repeats repeats = CountRepeats();
  // Verdicts that were made while Redis was away, of which it did not hear before somebody else took the job.
  EXPECT_LE(repeats.others, kWorkers * kSlots);
  std::cout << fmt::format(
      "{} submitted: {} answered at once, {} clean, {} infected, {} lost; {} kills of workers, 1 of Redis; {} refused, "
      "{} cut off; {} "
      "scans of {} contents: {} again after a kill of the worker, {} others; submitted in {:.1f} s, done after {:.1f} "
      "s\n",
      files_, tally.answered, tally.clean, tally.infected, tally.lost.size(), kills_, load.refused(), load.cut_off(),
      repeats.scans, repeats.contents, repeats.by_the_killed, repeats.others, submitted_s, done_s);
  for (std::size_t i = 0; i < kWorkers; ++i) EXPECT_TRUE(BecomesReady(*nodes()[i]));
  EXPECT_TRUE(Eventually([&] { return JobsInfo(one, "queued") == 0 && JobsInfo(one, "scanning") == 0; }));
  EXPECT_EQ(JobsInfo(one, "dead_letters"), 0);
  EXPECT_EQ(JobsInfo(one, "bytes"), 0);
}

INSTANTIATE_TEST_SUITE_P(Appendfsync, FleetKill, testing::Values("always", "everysec"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lazaret::tests
