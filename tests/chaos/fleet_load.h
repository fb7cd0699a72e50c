#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "chaos/fleet_fixture.h"

namespace lazaret::tests {

struct Sample {
  std::string content;
  bool infected;
};

// Another one for each number, always the same for one seed: a third are infected, a quarter take 20 ms to scan, some
// are too large for one piece in Redis.
Sample MakeSample(std::uint64_t seed, unsigned number);

// Clients that submit samples to several servers at once, and remember what was acknowledged.
class FleetLoad {
 public:
  FleetLoad(std::uint64_t seed, std::vector<std::uint16_t> ports);

  // Begins to submit samples [begin, end), each until one of the servers has acknowledged it, and every fifth to two
  // servers at the same time. Fails the test when one is not taken within kPatience.
  void Begin(unsigned begin, unsigned end);
  // Waits until all of them are acknowledged.
  void Join();
  // Samples, whatever the number of servers they were submitted to.
  unsigned acknowledged() const { return acknowledged_; }
  std::size_t refused() const { return tries_.refused; }
  std::size_t cut_off() const { return tries_.cut_off; }

  struct Tally {
    std::size_t answered = 0;  // with 200 and the right verdict: there was nothing to promise
    std::size_t clean = 0;     // promised with 202, and this and the following is what became of it
    std::size_t infected = 0;
    std::size_t wrong = 0;          // another verdict than the right one
    std::size_t unfinished = 0;     // after a long time
    std::vector<std::string> lost;  // unknown to the server
  };
  // Asks the servers, in turn, for everything that was promised, until it is done.
  Tally Verify() const;

 private:
  void SubmitAll(std::uint64_t client_seed, unsigned end);
  void SubmitTo(std::uint16_t port, const Sample& sample);
  void Check(std::size_t number, const std::string& id, bool infected, Tally& tally) const;

  const std::uint64_t seed_;
  const std::vector<std::uint16_t> ports_;
  std::atomic<unsigned> next_ = 0;
  std::atomic<unsigned> acknowledged_ = 0;
  Tries tries_;
  mutable std::mutex mutex_;
  // Ids, and whether their contents are infected; guarded by mutex_.
  std::map<std::string, bool> promised_;
  std::map<std::string, bool> answered_;
  std::vector<std::jthread> clients_;
};

}  // namespace lazaret::tests
