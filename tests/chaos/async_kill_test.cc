// The server is killed again and again while files are submitted; what it has promised is kept all the same.
//
// It takes (LAZARET_ is the prefix of the server's own settings)
//   CHAOS_ROUNDS  rounds, each with one kill (default 4; the full run has 20)
//   CHAOS_FILES   files that are submitted in each round (default 75; the full run has 2000)
//   CHAOS_SEED    of everything that is random (default: another one each time; it is printed)
#include <boost/json/value.hpp>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "integration/archives.h"
#include "integration/async_fixture.h"

namespace lazaret::tests {
namespace {

using testing::ElementsAre;

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::stoull(text) : otherwise;
}

struct Sample {
  std::string content;
  bool infected;
};

// Another one for each number, always the same for one seed: 1 byte to 3 MB, plain or packed, a third of them infected.
Sample MakeSample(std::uint64_t seed, unsigned number) {
  std::mt19937_64 random(seed * 1'000'003 + number);
  constexpr double kLargest = 3'000'000;
  const double exponent = std::uniform_real_distribution(0.0, 1.0)(random);
  const auto size = static_cast<std::size_t>(std::pow(kLargest, exponent));
  const auto text_seed = static_cast<unsigned>(random());
  const bool infected = size > 200 && random() % 3 == 0;
  if (size > 200 && random() % 3 == 0) {
    const bool deflate = random() % 2 == 0;
    std::vector<ZipMember> members = {{.name = "text", .data = PlainText(size, text_seed), .deflate = deflate}};
    if (infected) members.push_back({.name = "sample", .data = EicarWithPrefix(text_seed), .deflate = true});
    return {MakeZip(members), infected};
  }
  std::string text = PlainText(size, text_seed);
  if (infected) text.replace(text.size() / 2, Eicar().size(), Eicar());
  return {text, infected};
}

class AsyncKill : public AsyncTest {
 protected:
  AsyncKill() { std::cout << fmt::format("{} kills, {} files between them, CHAOS_SEED={}\n", rounds_, files_, seed_); }

  void StartAgain() {
    Launch({"--set", "http.max_parts=10"});
    ASSERT_NE(port(), 0) << server().Log();
    port_now_ = port();
  }

  // Submits what is not acknowledged yet of files [begin, end), until all of it is.
  void SubmitAll(std::uint64_t client_seed, unsigned end) {
    std::mt19937_64 random(client_seed);
    for (;;) {
      const unsigned wanted = random() % 4 == 0 ? 1 + static_cast<unsigned>(random() % 5) : 1;
      const unsigned first = next_.fetch_add(wanted);
      if (first >= end) return;
      std::vector<Sample> samples;
      for (unsigned i = first; i < std::min(first + wanted, end); ++i) samples.push_back(MakeSample(seed_, i));
      if (!Eventually([&] { return SubmitOnce(samples, random); })) {
        ADD_FAILURE() << "a submit is not taken at all";
        return;
      }
    }
  }

  bool SubmitOnce(const std::vector<Sample>& samples, std::mt19937_64& random) {
    Result<HttpResponse> answer;
    if (samples.size() > 1 || random() % 4 == 0) {
      std::vector<Part> parts;
      for (const Sample& sample : samples) parts.push_back({"file", "name", sample.content});
      answer = SubmitForm(port_now_, parts);
    } else if (random() % 2 == 0) {
      answer = SubmitChunked(port_now_, samples[0].content);
    } else {
      answer = Submit(port_now_, samples[0].content);
    }
    if (!answer || answer->status == 503) {
      ++(answer ? refused_ : broken_);
      return false;
    }
    EXPECT_TRUE(answer->status == 202 || answer->status == 200) << answer->status << answer->body;
    std::vector<boost::json::object> scans = ScansOf(answer);
    if (scans.empty()) scans.push_back(ParseJson(*answer));
    EXPECT_EQ(scans.size(), samples.size());
    std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < scans.size(); ++i) {
      const std::string id = IdOf(samples[i].content);
      EXPECT_EQ(TextOf(scans[i], "id"), id);
      if (TextOf(scans[i], "status") == "done") {
        EXPECT_EQ(TextOf(scans[i], "verdict"), samples[i].infected ? "infected" : "clean");
      }
      promised_[id] = samples[i].infected;
    }
    promises_ += static_cast<unsigned>(scans.size());
    return true;
  }

  // Files in the round that ends at `end`, and a kill at a moment within them.
  void Round(std::uint64_t round, std::mt19937_64& random) {
    const auto begin = static_cast<unsigned>(round * files_);
    const auto end = static_cast<unsigned>(begin + files_);
    next_ = begin;
    std::vector<std::jthread> clients;
    for (int i = 0; i < 6; ++i) clients.emplace_back([this, end, seed = random()] { SubmitAll(seed, end); });
    const auto moment = static_cast<unsigned>(random() % files_);
    EXPECT_TRUE(Eventually([&] { return promises_ >= begin + moment; }));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    server().Kill();
    StartAgain();
  }

  const std::uint64_t rounds_ = FromEnvironment("CHAOS_ROUNDS", 4);
  const std::uint64_t files_ = FromEnvironment("CHAOS_FILES", 75);
  const std::uint64_t seed_ = FromEnvironment("CHAOS_SEED", std::random_device{}());
  std::atomic<std::uint16_t> port_now_ = 0;
  std::atomic<unsigned> next_ = 0;
  std::atomic<unsigned> promises_ = 0;
  std::atomic<unsigned> broken_ = 0;
  std::atomic<unsigned> refused_ = 0;
  std::mutex mutex_;
  std::map<std::string, bool> promised_;  // scan id and whether the content is infected
};

TEST_F(AsyncKill, WhatWasPromisedIsKept) {
  const auto begin = std::chrono::steady_clock::now();
  std::mt19937_64 random(seed_);
  StartAgain();
  for (std::uint64_t round = 0; round < rounds_; ++round) {
    Round(round, random);
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(promises_, rounds_ * files_);
  const double submitted_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  std::map<std::string, unsigned> verdicts;
  for (const auto& [id, infected] : promised_) {
    Result<HttpResponse> answer;
    std::string status;
    // Many large files may take more than one poll.
    for (int i = 0; i < 10 && status != "done"; ++i) {
      answer = Poll(port(), id);
      ASSERT_THAT(answer, HasStatus(200)) << id;
      status = TextOf(ParseJson(*answer), "status");
    }
    const std::string verdict = TextOf(ParseJson(*answer), "verdict");
    EXPECT_EQ(verdict, infected ? "infected" : "clean") << answer->body;
    ++verdicts[verdict];
  }
  EXPECT_TRUE(JobsBecome("queued", 0) && JobsBecome("scanning", 0));
  EXPECT_EQ(JobsInfo("dead_letters"), 0);
  EXPECT_EQ(JobsInfo("bytes"), 0);
  EXPECT_THAT(ContentFiles(), ElementsAre());
  EXPECT_EQ(server().Terminate(), 0);
  EXPECT_THAT(ContentFiles(), ElementsAre());
  std::cout << fmt::format(
      "{} contents promised ({} clean, {} infected, {} unscannable), {} kills, {} requests cut off, {} refused; "
      "submitted in {:.1f} s, all done after {:.1f} s\n",
      promised_.size(), verdicts["clean"], verdicts["infected"], verdicts["unscannable"], rounds_, broken_.load(),
      refused_.load(), submitted_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
}

}  // namespace
}  // namespace lazaret::tests
