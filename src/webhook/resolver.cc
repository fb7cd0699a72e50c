#include "webhook/resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace lazaret::webhook {
namespace ip = boost::asio::ip;

namespace {

ip::address AddressOf(const addrinfo& info) {
  if (info.ai_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, info.ai_addr, sizeof in);
    return ip::address_v4(ntohl(in.sin_addr.s_addr));
  }
  sockaddr_in6 in;
  std::memcpy(&in, info.ai_addr, sizeof in);
  ip::address_v6::bytes_type bytes;
  std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
  return ip::address_v6(bytes, in.sin6_scope_id);
}

}  // namespace

Result<Addresses> LookUp(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &raw);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(raw, &::freeaddrinfo);
  if (failed != 0) {
    const std::string why = failed == EAI_SYSTEM ? std::generic_category().message(errno) : ::gai_strerror(failed);
    return Fail(Errc::kUnavailable, fmt::format("cannot look up {}: {}", host, why));
  }
  Addresses addresses;
  for (const addrinfo* info = found.get(); info != nullptr; info = info->ai_next) {
    if (info->ai_family == AF_INET || info->ai_family == AF_INET6) addresses.push_back(AddressOf(*info));
  }
  return addresses;
}

struct Resolver::Shared {
  explicit Shared(Lookup l) : lookup(std::move(l)) {}

  const Lookup lookup;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Resolver::Answer>> running;
  bool abandoned = false;  // nobody waits any more; the executors of those who did may be gone
};

Resolver::Resolver(Lookup lookup, std::size_t max_lookups)
    : max_lookups_(max_lookups), shared_(std::make_shared<Shared>(std::move(lookup))) {}

Resolver::~Resolver() {
  std::lock_guard lock(shared_->mutex);
  shared_->abandoned = true;
}

aio::Task<Result<Addresses>> Resolver::Resolve(std::string host, SteadyTime deadline) {
  const auto answer = Ask(host);
  if (!answer) co_return std::unexpected(answer.error());
  auto result = co_await (*answer)->Wait(deadline);
  if (!result) co_return Fail(Errc::kTimeout, fmt::format("looking up {} took too long", host));
  if (*result && (*result)->empty()) co_return Fail(Errc::kUnavailable, fmt::format("{} has no address", host));
  co_return *std::move(result);
}

Result<std::shared_ptr<Resolver::Answer>> Resolver::Ask(const std::string& host) {
  std::lock_guard lock(shared_->mutex);
  if (const auto same = shared_->running.find(host); same != shared_->running.end()) return same->second;
  if (shared_->running.size() >= max_lookups_) {
    return Fail(Errc::kOverloaded,
                fmt::format("{} names are being looked up already: do the name servers answer?", max_lookups_));
  }
  const auto answer = std::make_shared<Answer>();
  try {
    // Detached, as a lookup cannot be cancelled and must not hold up the end of the server.
    std::thread([shared = shared_, host, answer] {
      Result<Addresses> found = shared->lookup(host);
      std::lock_guard end(shared->mutex);
      shared->running.erase(host);
      if (!shared->abandoned) answer->Set(std::move(found));
    }).detach();
  } catch (const std::system_error& e) {
    return std::unexpected(SystemError("cannot start a thread to look up a name", e.code().value()));
  }
  shared_->running.emplace(host, answer);
  return answer;
}

}  // namespace lazaret::webhook
