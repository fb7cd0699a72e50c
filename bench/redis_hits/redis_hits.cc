// Verdicts a second that are found in Redis when memory does not have them: GET, decoding and all, by TASKS coroutines on
// one connection.
// redis_hits URL HITS TASKS
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/log.h"
#include "fleet/verdict_cache.h"
#include "redis/client.h"

using namespace lazaret;
namespace asio = boost::asio;

namespace {

constexpr std::size_t kVerdicts = 1000;

Digest DigestOf(std::size_t number) { return Sha256::Of(AsBytes(std::to_string(number % kVerdicts))); }

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

aio::Task<> Fill(VerdictCache& cache) {
  const auto engine = std::make_shared<const EngineInfo>(EngineInfo{.signature_set = Sha256::Of({}),
                                                                    .profile = Sha256::Of({}),
                                                                    .name = "ClamAV",
                                                                    .version = "1.4.6",
                                                                    .signature_label = "daily 28129, main 63",
                                                                    .built_at = {},
                                                                    .databases = {},
                                                                    .isolation = {}});
  for (std::size_t i = 0; i < kVerdicts; ++i) {
    const auto verdict = std::make_shared<const Verdict>(Verdict::Clean({engine, 4096, SystemClock().Now(), 3.0}));
    if (const auto stored = co_await cache.Store(DigestOf(i), verdict); !stored) Die(stored.error().what);
  }
}

aio::Task<> Hit(VerdictCache& cache, std::size_t& left) {
  while (left > 0) {
    const auto found = co_await cache.Find(DigestOf(left--));
    if (!found) Die(found.error().what);
    if (*found == nullptr) Die("a verdict is missing");
  }
}

aio::Task<> Measure(redis::Client& client, std::size_t hits, std::size_t tasks) {
  const SystemClock clock;
  fleet::RedisVerdictCache cache(client, clock, {.timeout = seconds(10)});
  co_await Fill(cache);
  const SteadyTime start = clock.SteadyNow();
  std::size_t left = hits;
  const auto executor = co_await asio::this_coro::executor;
  std::size_t running = tasks;
  asio::steady_timer ended(executor, SteadyTime::max());
  for (std::size_t i = 0; i < tasks; ++i) {
    asio::co_spawn(executor, Hit(cache, left), [&](std::exception_ptr) {
      if (--running == 0) ended.cancel();
    });
  }
  boost::system::error_code ignored;
  co_await ended.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  std::printf("%.0f\n", static_cast<double>(hits) / std::chrono::duration<double>(clock.SteadyNow() - start).count());
  co_await client.Stop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) Die("redis_hits URL HITS TASKS");
  const auto url = redis::Url::Parse(argv[1]);
  if (!url) Die(url.error().what);
  asio::io_context io(1);
  Log log(LogFormat::kText, LogLevel::kError);
  auto client = redis::Client::Make(io.get_executor(), *url, {}, log);
  if (!client) Die(client.error().what);
  asio::co_spawn(io, Measure(**client, std::strtoull(argv[2], nullptr, 10), std::strtoull(argv[3], nullptr, 10)),
                 [](std::exception_ptr error) {
                   if (error) std::rethrow_exception(error);
                 });
  io.run();
  return 0;
}
