#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "core/outbox.h"
#include "webhook/callback_url.h"

namespace lazaret::webhook {

// Decides which message goes out next: so many at once, so many of them to one host, the hosts in turn. A host that is
// slow may keep its own messages waiting, but nobody else's. Owns no time and no sockets. One executor.
class HostQueue {
 public:
  struct Limits {
    std::size_t at_once = 32;
    std::size_t at_once_per_host = 4;
    std::size_t waiting = 4096;
    std::size_t waiting_per_host = 256;
    milliseconds slow{500};  // a host whose last post, or the oldest one under way, took longer than this is slow
  };
  struct Entry {
    Delivery delivery;
    CallbackUrl url;
    SteadyTime start_by;  // it is not handed out any more after this
  };
  // Whether another message to a host can be taken in.
  enum class Room {
    kYes,
    kSoon,  // the host works through what waits: let it
    kNo,    // the host is slow: whoever waits for it would hold up the others
  };

  explicit HostQueue(Limits limits) : limits_(limits) {}

  Room RoomFor(const std::string& host, SteadyTime now);
  void Push(Entry entry);

  // The next message, which is under way from now on; empty when none may start. Ended must follow for it.
  std::optional<Entry> Start(SteadyTime now);
  void Ended(const std::string& host, SteadyTime started, SteadyTime now);

  void DropWaiting();
  std::size_t waiting() const { return waiting_; }
  std::size_t under_way() const { return under_way_; }

 private:
  struct Host {
    std::deque<Entry> waiting;
    std::multiset<SteadyTime> started;
    milliseconds last_took{0};
    bool in_turn = false;
  };
  using Hosts = std::map<std::string, Host>;

  void DropLate(Host& host, SteadyTime now);
  void TakeTurn(Hosts::iterator host);
  bool IsSlow(const Host& host, SteadyTime now) const;
  void ForgetIfIdle(Hosts::iterator host);

  const Limits limits_;
  Hosts hosts_;
  std::deque<Hosts::iterator> turns_;  // hosts that may start a message, once each
  std::size_t waiting_ = 0;
  std::size_t under_way_ = 0;
};

}  // namespace lazaret::webhook
