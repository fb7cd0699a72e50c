#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "aio/task_group.h"
#include "base/log.h"
#include "redis/client.h"

namespace lazaret::fleet {

// Keys in Redis that say that something is this node's for now: each holds a token of its own and lives as long as its
// lease, by Redis's clock. A node that dies loses them within that time.
class Leases {
 public:
  // A lease that is ours, or may be: as soon as it was asked for nobody but Redis knows. Destroying it gives it up, in
  // the background. The Leases must outlive it, until their Stop.
  class Held {
   public:
    Held(Leases& leases, std::string key, std::string token)
        : leases_(leases), key_(std::move(key)), token_(std::move(token)) {}
    ~Held();
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

    // It is another's: nothing is to be given up.
    void Disarm() { armed_ = false; }
    // It is ours: renews it from now on at thirds of its time.
    void KeepUp();

    const std::string& key() const { return key_; }
    const std::string& token() const { return token_; }

   private:
    Leases& leases_;
    const std::string key_;
    const std::string token_;
    std::function<void()> stop_renewing_;
    bool armed_ = true;
  };

  // `executor` is the one that everything here is called on; `what` is what fails in a line of the log. The references
  // must outlive the leases.
  Leases(redis::Client& client, aio::Executor executor, milliseconds length, const Clock& clock, Log& log,
         std::string_view what);

  // With a token that nobody else has, behind `prefix`. Nothing is asked of Redis.
  std::unique_ptr<Held> Prepare(std::string key, std::string_view prefix = "");
  // When everything held has been destroyed: waits until it has been given up in Redis, but at most for `patience`.
  aio::Task<> Stop(milliseconds patience);

  milliseconds length() const { return length_; }

 private:
  aio::Task<> Renew(std::string key, std::string token);
  aio::Task<> Release(std::string key, std::string token);

  redis::Client& client_;
  const milliseconds length_;
  const Clock& clock_;
  Log& log_;
  const std::string what_;
  const redis::Script renew_;
  const redis::Script release_;
  aio::TaskGroup tasks_;
  std::mt19937_64 random_{(std::uint64_t{std::random_device()()} << 32) | std::random_device()()};
};

}  // namespace lazaret::fleet
