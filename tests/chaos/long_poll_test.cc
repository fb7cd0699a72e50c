// Ten thousand clients that wait for their scans at once.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <set>

#include <fmt/format.h>

#include "chaos/crowd.h"
#include "integration/async_fixture.h"

namespace lazaret::tests {
namespace {

// Connections that server and test can have each, with what else they need; as many descriptors as the server keeps
// ready for each connection.
std::size_t ConnectionsThatFit(std::size_t wanted) {
  constexpr rlim_t kKept = 1000;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  // Root may raise the hard limit, and the server inherits it.
  const rlimit higher{2 * wanted + 3 * kKept, 2 * wanted + 3 * kKept};
  if (limit.rlim_max < higher.rlim_max && ::setrlimit(RLIMIT_NOFILE, &higher) == 0) limit = higher;
  const std::size_t fit = (limit.rlim_max - kKept) / 2 - 100;
  if (fit < wanted) std::cout << fmt::format("{} descriptors allow {} connections only\n", limit.rlim_max, fit);
  return std::min(wanted, fit);
}

TEST_F(AsyncTest, ThousandsOfLongPollsCostNothingWhileTheyWait) {
  const std::size_t polls = ConnectionsThatFit(10'000);
  LaunchWithoutEngine({"--set", "http.max_wait=1h", "--set", fmt::format("http.max_connections={}", polls + 100)});
  constexpr unsigned kJobs = 100;
  for (unsigned i = 0; i < kJobs; ++i) ASSERT_THAT(Submit(port(), EicarWithPrefix(i)), HasStatus(202));
  const std::uint64_t before = ResidentBytes(server().pid());

  Crowd crowd(port());
  for (std::size_t i = 0; i < polls; ++i) {
    const std::string id = IdOf(EicarWithPrefix(static_cast<unsigned>(i % kJobs)));
    crowd.Add(MakeRequest("GET", fmt::format("/v1/scans/{}?wait=3600", id)));
  }
  ASSERT_TRUE(crowd.SendAllButTheEnd());
  crowd.SendTheEnd();
  ASSERT_TRUE(MetricBecomes("lazaret_long_polls", static_cast<double>(polls)));

  constexpr seconds kLook{2};
  const std::uint64_t waiting = ResidentBytes(server().pid());
  const milliseconds cpu_before = CpuTime(server().pid());
  Pause(kLook);
  const milliseconds cpu = CpuTime(server().pid()) - cpu_before;
  const std::uint64_t each = (std::max(waiting, before) - before) / polls;
  std::cout << fmt::format(
      "{} long polls: {} MiB before, {} MiB while they wait ({} bytes each), {} ms of CPU in {} s\n", polls,
      before >> 20, waiting >> 20, each, cpu.count(), kLook.count());
  EXPECT_LT(waiting, before + (std::uint64_t{400} << 20));
  // A loop that is busy would use all of a core; this is a tenth of one.
  EXPECT_LT(cpu, milliseconds(kLook) / 10);

  GiveSignatures();
  const auto begin = std::chrono::steady_clock::now();
  std::size_t right = 0;
  crowd.Finish([&](std::size_t number, const Result<HttpResponse>& answer) {
    EXPECT_THAT(answer, HasVerdict("infected")) << number;
    right += answer && answer->status == 200 ? 1 : 0;
  });
  std::cout << fmt::format("{} answers, the last {:.0f} ms after the engine was ready\n", right,
                           std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  EXPECT_EQ(right, polls);
  EXPECT_TRUE(MetricBecomes("lazaret_long_polls", 0));
}

}  // namespace
}  // namespace lazaret::tests
