#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "aio/blocking_pool.h"

namespace lazaret::embedded {

// Threads that read a database, each with a connection of its own: a `Reader` is a connection with its statements.
template <class Reader>
class ReaderPool {
 public:
  // At least one; nobody may be waiting on Run any more when the pool goes.
  explicit ReaderPool(std::vector<std::unique_ptr<Reader>> readers) : idle_(std::move(readers)), pool_(idle_.size()) {}

  // `read` with a reader on one of the threads; resumes the caller on its own executor. Not cancellable: it may refer
  // to the caller's variables.
  template <class Read>
  aio::Task<std::invoke_result_t<Read&, Reader&>> Run(Read read) {
    return pool_.Run([this, read = std::move(read)]() mutable {
      const Lease lease(*this);
      return read(*lease.reader);
    });
  }

  // Whether it holds for one of the readers. Only while nobody reads.
  template <class Predicate>
  bool AnyOf(Predicate predicate) const {
    return std::ranges::any_of(idle_, [&](const auto& reader) { return predicate(*reader); });
  }

 private:
  // As many readers as threads: one is always idle.
  struct Lease {
    explicit Lease(ReaderPool& of) : pool(of) {
      std::lock_guard lock(pool.mutex_);
      reader = std::move(pool.idle_.back());
      pool.idle_.pop_back();
    }
    ~Lease() {
      std::lock_guard lock(pool.mutex_);
      pool.idle_.push_back(std::move(reader));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ReaderPool& pool;
    std::unique_ptr<Reader> reader;
  };

  std::mutex mutex_;
  std::vector<std::unique_ptr<Reader>> idle_;
  aio::BlockingPool pool_;  // last: its threads use what is above
};

}  // namespace lazaret::embedded
