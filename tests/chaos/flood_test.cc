// More connections, and larger uploads, than an honest client has.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "chaos/crowd.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

constexpr bool kSanitized =
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    true;
#else
    false;
#endif

class Flood : public ServerTest {
 protected:
  static constexpr unsigned kEach = 1000;

  // A thousand connections that stay silent, and a thousand that stop within their heads.
  void SendHalfRequests(Crowd& crowd) {
    for (unsigned i = 0; i < kEach; ++i) {
      crowd.Add("x");
      crowd.Add("POST /v1/scan HTTP/1.1\r\nHost: x\r\nContent-Le");
    }
    ASSERT_TRUE(crowd.SendAllButTheEnd());
  }
};

TEST_F(Flood, OfConnectionsThatSendLittleHoldsNobodyUp) {
  Start({"--set", "http.idle_timeout=1h", "--set", "http.head_timeout=10m"});
  Crowd crowd(port());
  SendHalfRequests(crowd);
  ASSERT_TRUE(MetricBecomes("lazaret_http_connections", 2 * kEach + 1));
  for (unsigned i = 0; i < 50; ++i) {
    EXPECT_THAT(Post(port(), "/v1/scan", EicarWithPrefix(i)), HasVerdict("infected"));
    EXPECT_THAT(Post(port(), "/v1/scan", PlainText(1000, i)), HasVerdict("clean"));
  }
  // Those that go on are served, too.
  HttpConnection late(port());
  ASSERT_TRUE(late.Send("GET /healthz HTT"));
  ASSERT_TRUE(MetricBecomes("lazaret_http_connections", 2 * kEach + 2));
  ASSERT_TRUE(late.Send("P/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_THAT(late.Receive(), HasStatus(200));
}

TEST_F(Flood, OfConnectionsThatSendLittleIsEnded) {
  Start({"--set", "http.idle_timeout=1s", "--set", "http.head_timeout=1s"});
  Crowd crowd(port());
  SendHalfRequests(crowd);
  EXPECT_EQ(crowd.WaitUntilClosed(), 2 * kEach);
  EXPECT_TRUE(MetricBecomes("lazaret_http_connections", 1));
  EXPECT_EQ(Metric("lazaret_http_requests_total{route=\"bad-head\",status=\"408\"}"), kEach);
}

TEST_F(Flood, OfBytesIsNotHeldInMemory) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  constexpr std::uint64_t kSize = 1024 * kMiB;
  Start({"--set", "engine.max_file_size=1MiB"});
  ASSERT_THAT(Post(port(), "/v1/scan", std::string(8 * kMiB, 'x')), IsUnscannable("limit-exceeded"));
  const std::uint64_t before = ResidentBytes(server().pid());
  const std::string block(kMiB, '\0');
  HttpConnection connection(port());
  ASSERT_TRUE(connection.Send(MakeRequest("POST", "/v1/scan", {{"Content-Length", std::to_string(kSize)}})));
  std::uint64_t most = 0;
  for (std::uint64_t sent = 0; sent < kSize; sent += block.size()) {
    ASSERT_TRUE(connection.Send(block));
    if (sent % (16 * kMiB) == 0) most = std::max(most, ResidentBytes(server().pid()));
  }
  const auto answer = connection.Receive();
  ASSERT_THAT(answer, IsUnscannable("limit-exceeded"));
  EXPECT_EQ(TextOf(ParseJson(*answer), "id"), "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14");
  most = std::max(most, ResidentBytes(server().pid()));
  std::cout << fmt::format("memory of the server: {} KiB before, at most {} KiB more while 1 GiB came in\n",
                           before / 1024, (most - std::min(most, before)) / 1024);
  if (!kSanitized) EXPECT_LT(most, before + 8 * kMiB);
  EXPECT_TRUE(MetricBecomes("lazaret_spool_bytes{where=\"disk\"}", 0));
}

}  // namespace
}  // namespace lazaret::tests
