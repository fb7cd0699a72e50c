// GETs a second through the client: bench/redis_gets.sh runs it beside redis-benchmark.
// redis_client_benchmark URL KEY COMMANDS TASKS [elsewhere]
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/log.h"
#include "redis/client.h"

using namespace lazaret;
namespace asio = boost::asio;

namespace {

aio::Task<std::size_t> Get(redis::Client& client, std::string key, std::size_t count) {
  const redis::Command command = {"GET", key};
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto reply = co_await client.Call(key, command, {.deadline = std::chrono::steady_clock::now() + seconds(10)});
    if (!reply) {
      std::fprintf(stderr, "%s\n", reply.error().what.c_str());
      std::exit(1);
    }
    bytes += reply->text().size();
  }
  co_return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  const auto url = redis::Url::Parse(argv[1]);
  if (!url) {
    std::fprintf(stderr, "%s\n", url.error().what.c_str());
    return 2;
  }
  const std::string key = argv[2];
  const std::size_t commands = std::stoul(argv[3]);
  const std::size_t tasks = std::stoul(argv[4]);
  const bool elsewhere = argc > 5;

  Log log(LogFormat::kText, LogLevel::kWarning);
  asio::io_context io;
  asio::io_context callers;
  auto made = redis::Client::Make(io.get_executor(), *url, {}, log);
  if (!made) return 1;
  redis::Client& client = **made;
  std::jthread thread([&] {
    const auto guard = asio::make_work_guard(io);
    io.run();
  });
  std::vector<std::future<std::size_t>> results;
  asio::co_spawn(io, Get(client, key, 1), asio::use_future).get();
  const auto begin = std::chrono::steady_clock::now();
  const std::uint64_t writes = client.counters().writes;
  for (std::size_t i = 0; i < tasks; ++i) {
    results.push_back(asio::co_spawn(elsewhere ? callers : io, Get(client, key, commands / tasks), asio::use_future));
  }
  if (elsewhere) callers.run();
  std::size_t bytes = 0;
  for (auto& result : results) bytes += result.get();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const double sent = static_cast<double>(commands / tasks * tasks);
  std::printf("%.0f GETs a second, %.1f in a write, %.0f bytes each\n", sent / took.count(),
              sent / static_cast<double>(client.counters().writes - writes), static_cast<double>(bytes) / sent);
  asio::co_spawn(io, client.Stop(), asio::use_future).get();
  io.stop();
}
