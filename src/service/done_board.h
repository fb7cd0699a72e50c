#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "aio/broadcast.h"
#include "aio/task.h"
#include "base/clock.h"
#include "core/verdict.h"

namespace lazaret {

// Wakes whoever waits for the scan of a content to finish, however many there are. Thread-safe.
class DoneBoard {
 public:
  // Called for each seat that is taken: what it gives is held until the seat is left.
  using OnSeat = std::function<std::shared_ptr<void>(const Digest&)>;

 private:
  using News = aio::Broadcast<VerdictPtr>;
  struct Entry {
    std::shared_ptr<News> news = std::make_shared<News>();
    std::size_t seats = 0;
  };

 public:
  // One waiting request: it hears everything that is announced from now on. Must not outlive the board.
  class Seat {
   public:
    Seat(DoneBoard& board, const Digest& digest);
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    ~Seat();

    // The verdict that was announced. Null when `deadline` comes first, the board is closed or the caller is cancelled
    // (its next wait throws then).
    aio::Task<VerdictPtr> Wait(SteadyTime deadline);

   private:
    DoneBoard& board_;
    const Digest digest_;
    std::shared_ptr<News> news_;
    std::shared_ptr<void> held_;
  };

  // From now on; empty for nobody.
  void TellOfSeats(OnSeat on_seat);
  void Announce(const Digest& digest, const VerdictPtr& verdict);
  // Ends all waits, and those to come at once: the server is ending.
  void Close();
  std::size_t waiting() const;
  bool IsAwaited(const Digest& digest) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<Digest, Entry, DigestHash> entries_;
  std::size_t waiting_ = 0;
  bool closed_ = false;
  OnSeat on_seat_;
};

}  // namespace lazaret
