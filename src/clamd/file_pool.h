#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "aio/gate.h"
#include "aio/handoff.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace lazaret::clamd {

struct FilePoolSettings {
  std::size_t threads = 64;          // made when they are needed
  std::size_t threads_of_share = 4;  // of them, at most, for one connection; and as many copies
  std::size_t most_waiting = 4096;   // pieces of work of all connections; more are refused
  std::size_t most_ends = 256;       // kept things of all connections that wait for their end
  std::size_t most_ends_of_share = 32;
  milliseconds patience{1'000};  // of Stop
};

class FileThreads;

// What one connection has done to files that belong to others. The file system they lie on, which a client may have
// chosen, can take for ever to answer any question, to close a file as well: all of it happens on the pool's threads,
// and nobody waits for it longer than he wants to. Copies are the same share. Thread-safe.
class FileShare {
 public:
  // What `work` returns, which runs on a thread of the pool when the share has a turn. kTimeout when `deadline` comes
  // first, kOverloaded when too much waits already. The caller may leave at any time: `work` must own what it uses, and
  // what it returns must be safe to destroy anywhere (see Keep).
  template <class Work>
  aio::Task<Result<std::invoke_result_t<Work&>>> Run(SteadyTime deadline, Work work);

  // `value` where all can share it; it is destroyed on a thread of the pool.
  template <class T>
  std::shared_ptr<T> Keep(T value) {
    auto kept = std::make_unique<T>(std::move(value));
    return std::shared_ptr<T>(kept.release(), [share = *this](T* over) mutable { share.End([over] { delete over; }); });
  }
  // Of the connection: so many of its files are copied at once, each with a piece of it in memory, however long the
  // disk takes.
  aio::Gate& copies() const;
  // Whether another descriptor should be taken from the client: not while too many wait to be closed.
  bool MayKeepMore() const;

 private:
  friend class FilePool;
  struct Queue;
  friend class FileThreads;
  FileShare(std::shared_ptr<FileThreads> threads, std::shared_ptr<Queue> queue)
      : threads_(std::move(threads)), queue_(std::move(queue)) {}

  // The number to withdraw it by; empty when there is no room.
  std::optional<std::uint64_t> Add(std::move_only_function<void()> work);
  void Withdraw(std::uint64_t number);
  void End(std::move_only_function<void()> end) noexcept;

  std::shared_ptr<FileThreads> threads_;
  std::shared_ptr<Queue> queue_;
};

// The threads on which the files of clients are opened, read and closed. What hangs there holds its thread; the
// shares of other connections go on with the others.
class FilePool {
 public:
  explicit FilePool(const FilePoolSettings& settings);
  ~FilePool() { Stop(); }
  FilePool(const FilePool&) = delete;
  FilePool& operator=(const FilePool&) = delete;

  FileShare MakeShare();
  // Waits for what was begun, at most `patience`. What hangs then is left to itself, and to the kernel when the process
  // ends. After the last Run has returned.
  void Stop();

 private:
  std::shared_ptr<FileThreads> threads_;  // also those that hang own it
};

using KeptFd = std::shared_ptr<const UniqueFd>;

template <class Work>
aio::Task<Result<std::invoke_result_t<Work&>>> FileShare::Run(SteadyTime deadline, Work work) {
  struct Outcome {
    std::optional<std::invoke_result_t<Work&>> value;
    std::exception_ptr error;
  };
  const auto handoff = std::make_shared<aio::Handoff<Outcome>>();
  const auto number = Add([handoff, work = std::move(work)]() mutable {
    if (handoff->IsClosed()) return;
    Outcome outcome;
    try {
      outcome.value.emplace(work());
    } catch (...) {
      outcome.error = std::current_exception();
    }
    handoff->Give(std::move(outcome));
  });
  if (!number) co_return Fail(Errc::kOverloaded, "too many files are waiting to be read");
  const struct Leave {
    FileShare share;
    std::uint64_t number;
    ~Leave() { share.Withdraw(number); }
  } leave{*this, *number};
  auto outcome = co_await handoff->Receive(deadline);
  if (!outcome) co_return Fail(Errc::kTimeout, "a file could not be read in time");
  if (outcome->error) std::rethrow_exception(outcome->error);
  co_return *std::move(outcome->value);
}

}  // namespace lazaret::clamd
