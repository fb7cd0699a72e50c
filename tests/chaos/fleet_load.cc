#include "chaos/fleet_load.h"

#include <optional>
#include <random>
#include <utility>

#include <fmt/format.h>

namespace lazaret::tests {

namespace {

constexpr int kClients = 6;
constexpr int kMostPolls = 10;  // of 50 s each

}  // namespace

Sample MakeSample(std::uint64_t seed, unsigned number) {
  std::mt19937_64 random(seed * 1'000'003 + number);
  const bool infected = random() % 3 == 0;
  const auto kind = random() % 20;
  std::string text;
  if (kind < 5) {
    text = Hook("slow 20", number) + fmt::format("of {}\n", seed);
  } else {
    const std::size_t size = kind == 5 ? 70'000 + random() % 1'200'000 : 200 + random() % 4'000;
    text = PlainText(size, static_cast<unsigned>(random()));
  }
  if (infected) text += "\n" + Eicar();
  return {std::move(text), infected};
}

FleetLoad::FleetLoad(std::uint64_t seed, std::vector<std::uint16_t> ports) : seed_(seed), ports_(std::move(ports)) {}

void FleetLoad::Begin(unsigned begin, unsigned end) {
  next_ = begin;
  for (int i = 0; i < kClients; ++i) {
    clients_.emplace_back([this, end, seed = seed_ + begin + static_cast<unsigned>(i)] { SubmitAll(seed, end); });
  }
}

void FleetLoad::Join() { clients_.clear(); }

void FleetLoad::SubmitAll(std::uint64_t client_seed, unsigned end) {
  std::mt19937_64 random(client_seed);
  for (unsigned number; (number = next_++) < end;) {
    const Sample sample = MakeSample(seed_, number);
    const std::size_t first = random() % ports_.size();
    std::optional<std::jthread> twin;
    if (number % 5 == 0) twin.emplace([&] { SubmitTo(ports_[(first + 1) % ports_.size()], sample); });
    SubmitTo(ports_[first], sample);
    twin.reset();
    ++acknowledged_;
  }
}

void FleetLoad::SubmitTo(std::uint16_t port, const Sample& sample) {
  const auto answer = SubmitUntilTaken(port, sample.content, tries_);
  if (!answer) {
    ADD_FAILURE() << "a submit is not taken at all";
    return;
  }
  const std::string id = IdOf(sample.content);
  const auto scan = ParseJson(*answer);
  EXPECT_EQ(TextOf(scan, "id"), id);
  EXPECT_EQ(TextOf(scan, "verdict"), answer->status == 202 ? "" : sample.infected ? "infected" : "clean");
  const std::lock_guard lock(mutex_);
  (answer->status == 202 ? promised_ : answered_)[id] = sample.infected;
}

FleetLoad::Tally FleetLoad::Verify() const {
  Tally tally;
  const auto promised = [&] {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, infected] : answered_) tally.answered += promised_.contains(id) ? 0 : 1;
    return promised_;
  }();
  std::size_t number = 0;
  for (const auto& [id, infected] : promised) Check(number++, id, infected, tally);
  return tally;
}

void FleetLoad::Check(std::size_t number, const std::string& id, bool infected, Tally& tally) const {
  for (int poll = 0; poll < kMostPolls; ++poll) {
    Result<HttpResponse> answer;
    // 503 while Redis is away.
    const bool answered = Eventually([&] {
      answer = Poll(ports_[number % ports_.size()], id);
      return answer && answer->status != 503;
    });
    if (!answered) break;
    if (answer->status == 404) {
      tally.lost.push_back(id);
      return;
    }
    if (answer->status != 200) {
      ADD_FAILURE() << answer->status << " " << answer->body;
      return;
    }
    const auto scan = ParseJson(*answer);
    if (TextOf(scan, "status") != "done") continue;
    const std::string verdict = TextOf(scan, "verdict");
    if (verdict != (infected ? "infected" : "clean")) {
      ++tally.wrong;
      ADD_FAILURE() << answer->body;
    } else {
      ++(infected ? tally.infected : tally.clean);
    }
    return;
  }
  ++tally.unfinished;
  ADD_FAILURE() << id << " is not finished";
}

}  // namespace lazaret::tests
