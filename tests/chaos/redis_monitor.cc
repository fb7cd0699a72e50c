#include "chaos/redis_monitor.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "base/unix_socket.h"
#include "integration/processes.h"

namespace lazaret::tests {

RedisMonitor::RedisMonitor(const RedisProcess& redis) : redis_(redis) {
  auto connection = ConnectToUnixSocket(redis.socket());
  if (!connection) throw std::runtime_error(connection.error().what);
  connection_ = *std::move(connection);
  constexpr std::string_view kCommand = "MONITOR\r\n";
  if (::send(connection_.Get(), kCommand.data(), kCommand.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(kCommand.size())) {
    throw std::runtime_error("MONITOR could not be sent");
  }
  reader_ = std::jthread([this] { Read(); });
  (void)Commands("", "");
}

RedisMonitor::~RedisMonitor() { ::shutdown(connection_.Get(), SHUT_RDWR); }

// A line: +1700000000.123456 [0 127.0.0.1:50000] "GET" "key"; of a script: [0 lua].
void RedisMonitor::Read() {
  std::string rest;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(connection_.Get(), buffer, sizeof buffer);
    if (n <= 0) return;
    rest.append(buffer, static_cast<std::size_t>(n));
    for (std::size_t end; (end = rest.find("\r\n")) != rest.npos; rest.erase(0, end + 2)) {
      const std::string_view line = std::string_view(rest).substr(0, end);
      const std::size_t open = line.find(" [");
      const std::size_t close = line.find("] ");
      if (open == line.npos || close == line.npos) continue;
      const std::string_view source = line.substr(open + 2, close - open - 2);
      const std::string_view address = source.substr(source.find(' ') + 1);
      if (address == "lua") continue;
      const std::lock_guard lock(mutex_);
      lines_.push_back({std::string(address), std::string(line.substr(close + 2))});
    }
  }
}

std::set<std::string> RedisMonitor::AddressesOf(std::string_view client) const {
  std::set<std::string> addresses;
  std::istringstream list(redis_.Ask({"CLIENT", "LIST"}).text());
  for (std::string line; std::getline(list, line);) {
    if (line.find(fmt::format(" name={} ", client)) == line.npos) continue;
    const std::size_t at = line.find(" addr=") + 6;
    addresses.insert(line.substr(at, line.find(' ', at) - at));
  }
  return addresses;
}

std::vector<std::string> RedisMonitor::Commands(std::string_view client, std::string_view text) const {
  static std::atomic<unsigned> number = 0;
  const std::string mark = fmt::format("mark {}", ++number);
  const bool seen = Eventually([&] {
    redis_.Ask({"ECHO", mark});
    const std::lock_guard lock(mutex_);
    return !lines_.empty() && lines_.back().command.find(mark) != std::string::npos;
  });
  if (!seen) throw std::runtime_error("MONITOR shows nothing");
  const auto addresses = AddressesOf(client);
  const std::lock_guard lock(mutex_);
  std::vector<std::string> commands;
  for (const Line& line : lines_) {
    if (addresses.contains(line.address) && line.command.find(text) != std::string::npos) {
      commands.push_back(line.command);
    }
  }
  return commands;
}

}  // namespace lazaret::tests
