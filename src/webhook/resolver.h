#pragma once

#include <boost/asio/ip/address.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aio/broadcast.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"

namespace lazaret::webhook {

using Addresses = std::vector<boost::asio::ip::address>;

// The addresses of a host name, in the order in which they are to be tried. May block for long; any thread, and after
// everything else of ours is gone. kUnavailable when there are none now.
using Lookup = std::function<Result<Addresses>(const std::string& host)>;

// As the system does it: getaddrinfo(3).
Result<Addresses> LookUp(const std::string& host);

// Looks names up beside the I/O threads. Wait for every Resolve before it is destroyed; lookups may still run then, for
// nobody: getaddrinfo(3) cannot be cancelled, and takes half a minute when no name server answers.
class Resolver {
 public:
  // At most `max_lookups` at once, each on a thread of its own.
  Resolver(Lookup lookup, std::size_t max_lookups);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Never empty. Whoever asks for a name that is being looked up shares the answer. kTimeout at `deadline`, kOverloaded
  // when too many names are being looked up. Any executor.
  aio::Task<Result<Addresses>> Resolve(std::string host, SteadyTime deadline);

 private:
  using Answer = aio::Broadcast<Result<Addresses>>;
  struct Shared;

  Result<std::shared_ptr<Answer>> Ask(const std::string& host);

  const std::size_t max_lookups_;
  const std::shared_ptr<Shared> shared_;  // with the threads
};

}  // namespace lazaret::webhook
