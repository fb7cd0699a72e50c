#include "chaos/crowd.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "integration/processes.h"

namespace lazaret::tests {

Crowd::Crowd(std::uint16_t port) : port_(port), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void Crowd::Add(std::string request) {
  clients_.push_back({.socket = Connect(port_), .request = std::move(request), .received = {}});
  epoll_event event{};
  event.data.u64 = clients_.size() - 1;
  ::epoll_ctl(epoll_.Get(), EPOLL_CTL_ADD, clients_.back().socket.Get(), &event);
}

void Crowd::Watch(std::size_t number, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = number;
  ::epoll_ctl(epoll_.Get(), EPOLL_CTL_MOD, clients_[number].socket.Get(), &event);
}

std::vector<std::size_t> Crowd::WaitForSome() {
  std::array<epoll_event, 256> events;
  const int count =
      ::epoll_wait(epoll_.Get(), events.data(), events.size(), static_cast<int>(milliseconds(kPatience).count()));
  std::vector<std::size_t> numbers;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t number = events[static_cast<std::size_t>(i)].data.u64;  // a copy: the structure is packed
    numbers.push_back(number);
  }
  return numbers;
}

// False when the server does not take any more.
bool Crowd::Send(Client& client, std::size_t up_to) {
  while (client.sent < up_to) {
    const ssize_t n = ::send(client.socket.Get(), client.request.data() + client.sent, up_to - client.sent,
                             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    client.sent += static_cast<std::size_t>(n);
  }
  return true;
}

std::optional<Result<HttpResponse>> Crowd::Receive(Client& client) {
  std::array<char, 16 * 1024> buffer;
  const ssize_t n = ::recv(client.socket.Get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return std::nullopt;
  if (n <= 0) return Fail(Errc::kDisconnected, "the connection ended without an answer");
  client.received.append(buffer.data(), static_cast<std::size_t>(n));
  auto response = TakeResponse(client.received);
  if (!response) return std::unexpected(response.error());
  if (!*response) return std::nullopt;
  return **std::move(response);
}

bool Crowd::SendAllButTheEnd() {
  std::size_t sending = 0;
  const auto continue_with = [&](std::size_t number) {
    Client& client = clients_[number];
    const std::size_t up_to = client.request.size() - 1;
    const bool broken = !Send(client, up_to);
    if (!broken && client.sent < up_to) return true;
    Watch(number, 0);
    return false;
  };
  for (std::size_t number = 0; number < clients_.size(); ++number) {
    Watch(number, EPOLLOUT);
    if (continue_with(number)) ++sending;
  }
  while (sending > 0) {
    const auto ready = WaitForSome();
    if (ready.empty()) return false;
    for (const std::size_t number : ready) {
      if (!continue_with(number)) --sending;
    }
  }
  return true;
}

void Crowd::SendTheEnd() {
  for (Client& client : clients_) (void)Send(client, client.request.size());
}

void Crowd::Finish(const std::function<void(std::size_t, const Result<HttpResponse>&)>& on_answer) {
  std::size_t waiting = clients_.size();
  for (std::size_t number = 0; number < clients_.size(); ++number) {
    (void)Send(clients_[number], clients_[number].request.size());
    Watch(number, EPOLLIN);
  }
  while (waiting > 0) {
    const auto ready = WaitForSome();
    if (ready.empty()) return;
    for (const std::size_t number : ready) {
      if (clients_[number].done) continue;
      const auto answer = Receive(clients_[number]);
      if (!answer) continue;
      clients_[number].done = true;
      Watch(number, 0);
      --waiting;
      on_answer(number, *answer);
    }
  }
}

std::size_t Crowd::WaitUntilClosed() {
  std::size_t closed = 0;
  for (Client& client : clients_) {
    Watch(static_cast<std::size_t>(&client - clients_.data()), EPOLLIN);
    client.done = false;
  }
  while (closed < clients_.size()) {
    const auto ready = WaitForSome();
    if (ready.empty()) break;
    for (const std::size_t number : ready) {
      Client& client = clients_[number];
      if (client.done) continue;
      std::array<char, 4096> buffer;
      const ssize_t n = ::recv(client.socket.Get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n > 0 || (n < 0 && errno == EAGAIN)) continue;
      client.done = true;
      ++closed;
      client.socket.Reset();  // and with it epoll's interest
    }
  }
  return closed;
}

}  // namespace lazaret::tests
