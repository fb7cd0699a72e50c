#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "integration/http_client.h"

namespace lazaret::tests {

// Many clients at once, each with a connection and one request of its own, all driven by one thread (epoll(7)).
class Crowd {
 public:
  explicit Crowd(std::uint16_t port);

  // Connects, to send `request` later.
  void Add(std::string request);
  std::size_t size() const { return clients_.size(); }

  // Sends all of every request but its last byte: all of them are under way then, and none can be answered. False when
  // that takes longer than kPatience.
  bool SendAllButTheEnd();
  // Sends the rest, small enough to go out at once; Finish need not.
  void SendTheEnd();
  // Sends the rest and calls `on_answer` with the number of a client, counted from 0, and its answer. Returns when
  // each has been answered or has lost its connection, or after kPatience without any progress.
  void Finish(const std::function<void(std::size_t, const Result<HttpResponse>&)>& on_answer);

  // How many of the connections the server has closed, after waiting until it has closed them all, or kPatience.
  std::size_t WaitUntilClosed();

 private:
  struct Client {
    UniqueFd socket;
    std::string request;
    std::size_t sent = 0;
    std::string received;
    bool done = false;
  };
  bool Send(Client& client, std::size_t up_to);
  std::optional<Result<HttpResponse>> Receive(Client& client);
  void Watch(std::size_t number, std::uint32_t events);
  std::vector<std::size_t> WaitForSome();

  const std::uint16_t port_;
  UniqueFd epoll_;
  std::vector<Client> clients_;
};

}  // namespace lazaret::tests
